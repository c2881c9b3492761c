"""A name service that hangs keeps few callers, and none that needs something else; it is noticed when it answers again."""

from __future__ import annotations

import asyncio

import pytest

from federation.dns.few_wait import MOST_WAITING, FewWait
from federation.dns.interface import NameRecord
from federation.dns.memory import MemoryNames
from federation.model.errors import Conflict, Unavailable
from federation.model.identity import Epoch

pytestmark = pytest.mark.looptime
HANGS_S = 3.0
RECORD = NameRecord("a.hubs.test", "a-aaaaaa", Epoch(era=1, n=1), "192.0.2.1:80")


class SlowNames(MemoryNames):
    """While it is down, each call hangs before it fails."""

    async def read(self, host: str) -> NameRecord | None:
        if self.down:
            await asyncio.sleep(HANGS_S)
        return await super().read(host)

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        return self._records.get(host)


async def read_by_many(names: FewWait, callers: int) -> list[float]:
    """How long each waited for a refusal, the shortest first."""

    async def waited() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="does not answer"):
            await names.read("a.hubs.test")
        return asyncio.get_running_loop().time() - began

    return sorted(await asyncio.gather(*(waited() for _ in range(callers))))


async def test_few_wait_for_a_silent_service_and_the_others_hear_at_once() -> None:
    service = SlowNames()
    names, service.down = FewWait(service), True
    await read_by_many(names, 1)
    waits = await read_by_many(names, 40)
    assert waits[: 40 - MOST_WAITING] == [0.0] * (40 - MOST_WAITING)
    assert waits[-1] == pytest.approx(HANGS_S)


async def test_who_looks_from_outside_does_not_stand_in_that_queue() -> None:
    service = SlowNames()
    await service.write(RECORD, None)
    names, service.down = FewWait(service), True
    await read_by_many(names, MOST_WAITING + 1)
    assert await names.seen_from_outside(RECORD.host) == RECORD


async def test_the_first_answer_opens_it_for_all() -> None:
    service = SlowNames()
    names, service.down = FewWait(service), True
    await read_by_many(names, 5)
    service.down = False
    assert await names.read(RECORD.host) is None
    async with asyncio.timeout(0.1):
        await asyncio.gather(*(names.read(RECORD.host) for _ in range(20)))


async def test_a_refusal_is_an_answer() -> None:
    names = FewWait(MemoryNames())
    await names.write(RECORD, None)
    for _ in range(MOST_WAITING + 1):
        with pytest.raises(Conflict):
            await names.write(RECORD, None)
    assert await names.read(RECORD.host) == RECORD
