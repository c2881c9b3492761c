"""Election of the leading coordinator, on the in-memory twin and on a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import cast

import pytest

from federation.model.errors import Conflict, Unavailable
from federation.runtime.clock import SystemClock
from federation.store.election import Election, Leader, patience_s
from federation.store.interface import Put, Store, Transaction
from federation.store.memory import MemoryStore
from tests.support.etcd import EtcdCluster, answers, etcd

KEY = "leader"
NUMBERS = count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    with etcd() as running:
        yield running


@pytest.fixture(params=["memory", "etcd"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(SystemClock(), progress_s=0.2)
        return
    running: EtcdCluster = request.getfixturevalue("cluster")
    real = running.store(f"election-{next(NUMBERS)}")
    await answers(real)
    yield real
    await real.close()


def candidate(store: Store, name: str, ttl_s: float = 1.0, delay_s: float = 0.0) -> Election:
    return Election(store, KEY, name, ttl_s=ttl_s, clock=SystemClock(), delay_s=delay_s)


async def test_one_leads_and_the_next_one_has_a_higher_epoch(store: Store) -> None:
    first, second = candidate(store, "c1", ttl_s=60), candidate(store, "c2")
    async with asyncio.timeout(15):
        async with first.campaign() as term:
            assert await second.leader() == Leader("c1", term.epoch)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5), second.campaign():
                    pytest.fail("two lead")
        async with second.campaign() as next_term:
            assert next_term.epoch > term.epoch


async def test_an_old_leaders_writes_are_refused(store: Store) -> None:
    async with asyncio.timeout(15), candidate(store, "c1", ttl_s=60).campaign() as old:
        await store.lease_revoke(old.lease)  # as if it had been frozen for longer than its lease
        async with candidate(store, "c2").campaign() as new:
            with pytest.raises(Conflict):
                await store.commit(Transaction(guards=(old.guard(),), puts=(Put("hub/a", b"late"),)))
            await store.commit(Transaction(guards=(new.guard(),), puts=(Put("hub/a", b"in time"),)))


async def test_a_leader_that_loses_its_key_is_told_at_once(store: Store) -> None:
    async with asyncio.timeout(15), candidate(store, "c1", ttl_s=5).campaign() as term:
        await store.lease_revoke(term.lease)
        async with asyncio.timeout(3):
            await term.lost()


async def test_a_leader_keeps_its_lease_for_much_longer_than_the_ttl(store: Store) -> None:
    async with asyncio.timeout(15), candidate(store, "c1").campaign() as term:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.5):
                await term.lost()
        assert await candidate(store, "c2").leader() == Leader("c1", term.epoch)


@pytest.mark.parametrize(
    ("at_witness", "witnesses", "wanted"), [(True, 1, 0.0), (False, 1, 2.5), (False, 0, 0.0), (True, 2, 0.0)]
)
def test_all_but_the_witness_are_patient_if_there_is_one(at_witness: bool, witnesses: int, wanted: float) -> None:
    assert patience_s(5.0, at_witness=at_witness, witnesses=witnesses) == wanted


async def lead(election: Election, led: list[str], name: str) -> None:
    async with election.campaign():
        led.append(name)


async def test_who_is_to_come_second_leaves_the_key_to_the_first(store: Store) -> None:
    led: list[str] = []
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        group.create_task(lead(candidate(store, "c2", delay_s=1.0), led, "c2"))
        await asyncio.sleep(0.2)
        group.create_task(lead(candidate(store, "witness"), led, "witness"))
    assert led == ["witness", "c2"]


async def test_whenever_the_key_vanishes_the_witness_comes_first_again(store: Store) -> None:
    led: list[str] = []
    async with asyncio.timeout(20), asyncio.TaskGroup() as group, candidate(store, "c1", ttl_s=60).campaign() as term:
        group.create_task(lead(candidate(store, "c2", delay_s=1.0), led, "c2"))
        await asyncio.sleep(1.3)  # it has waited for long, but not for a free key
        group.create_task(lead(candidate(store, "witness"), led, "witness"))
        await store.lease_revoke(term.lease)
    assert led == ["witness", "c2"]


async def test_without_the_witness_another_one_leads_after_its_patience(store: Store) -> None:
    led: list[str] = []
    clock = SystemClock()
    async with asyncio.timeout(15), candidate(store, "witness", ttl_s=60).campaign() as term:
        began = clock.mono()
        await store.lease_revoke(term.lease)  # it is dead: nobody campaigns for it
        await lead(candidate(store, "c2", delay_s=1.0), led, "c2")
        assert clock.mono() - began >= 1.0
    assert led == ["c2"]


class Blind:
    """A store that could not be read for a while, seen from one candidate."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.blind = False

    def __getattr__(self, name: str) -> object:
        if self.blind:
            raise Unavailable("cut off")
        return getattr(self._store, name)


async def test_after_a_gap_in_which_nobody_could_look_patience_begins_anew(store: Store) -> None:
    led: list[str] = []
    view = Blind(store)
    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        group.create_task(lead(candidate(cast(Store, view), "c2", delay_s=1.0), led, "c2"))
        await asyncio.sleep(0.5)
        view.blind = True
        await asyncio.sleep(1.0)
        view.blind = False
        await asyncio.sleep(0.3)
        group.create_task(lead(candidate(store, "witness"), led, "witness"))
    assert led == ["witness", "c2"]
