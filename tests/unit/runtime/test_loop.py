"""The one shape of every loop, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random

import pytest

from federation.model.errors import Conflict, Unavailable
from federation.runtime.loop import Loop, Pace

pytestmark = pytest.mark.looptime


class LoopClock:
    """The event loop's own time, which looptime lets jump."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(asyncio.get_running_loop().time(), UTC)

    def mono(self) -> float:
        return asyncio.get_running_loop().time()

    def boottime_ns(self) -> int:
        return int(self.mono() * 1e9)

    def boot_id(self) -> str:
        return "virtual"

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def running(
    reconcile: Callable[[str], Awaitable[float | None]], keys: tuple[str, ...] = (), **pace: float
) -> AsyncIterator[Loop]:
    loop = Loop("test", reconcile, lambda: keys, clock=LoopClock(), random=Random(1), pace=Pace(**pace))  # type: ignore[arg-type]
    task = asyncio.get_running_loop().create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_lost_wake_up_is_repaired_by_the_relist() -> None:
    seen: list[float] = []

    async def reconcile(key: str) -> None:
        seen.append(asyncio.get_running_loop().time())

    async with running(reconcile, ("a",), relist_s=10):
        await asyncio.sleep(35)
    assert len(seen) in (3, 4, 5)


async def test_a_key_is_looked_at_again_when_it_asked_for_it() -> None:
    times: list[float] = []

    async def reconcile(key: str) -> float:
        times.append(asyncio.get_running_loop().time())
        return 2.0

    async with running(reconcile, ("a",), relist_s=1000):
        await asyncio.sleep(7)
    assert [round(t - times[0]) for t in times] == [0, 2, 4, 6]


async def test_a_wake_up_while_the_key_is_being_worked_on_is_not_lost() -> None:
    runs = 0

    async def reconcile(key: str) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(1)

    async with running(reconcile, relist_s=1000) as loop:
        loop.wake("a")
        await asyncio.sleep(0.5)
        loop.wake("a")
        loop.wake("a")
        await asyncio.sleep(10)
    assert runs == 2


async def test_a_failing_key_backs_off_alone() -> None:
    tries: dict[str, int] = {"bad": 0, "good": 0}

    async def reconcile(key: str) -> float:
        tries[key] += 1
        if key == "bad":
            raise Unavailable("down")
        return 1.0

    async with running(reconcile, ("bad", "good"), relist_s=5) as loop:
        for _ in range(60):
            loop.wake("bad")
            await asyncio.sleep(1)
    assert tries["good"] >= 55
    assert tries["bad"] < 20


async def test_a_lost_compare_and_set_is_looked_at_again_at_once() -> None:
    tries = 0

    async def reconcile(key: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Conflict("lost")

    async with running(reconcile, ("a",), relist_s=1000):
        await asyncio.sleep(1)
    assert tries == 4


async def test_never_two_workers_for_one_key_and_no_more_than_the_pace_allows() -> None:
    now: list[str] = []
    most = 0

    async def reconcile(key: str) -> None:
        nonlocal most
        assert key not in now
        now.append(key)
        most = max(most, len(now))
        await asyncio.sleep(1)
        now.remove(key)

    async with running(reconcile, tuple("abcdefgh"), relist_s=3, workers=3):
        await asyncio.sleep(20)
    assert most == 3
