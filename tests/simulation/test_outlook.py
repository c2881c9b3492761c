"""Classes as they are seen from other places, on virtual time: said by whoever looks, gone when nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from federation.coordinator.replica import Replica
from federation.model.outlook import Outlook
from federation.model.status import Condition, ConditionType, Truth
from federation.store import keys
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_place import begin, place, served, until
from tests.simulation.test_takeover import WORKSHOP, armed, owner
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

PLACES = {"c1": "iu", "c2": "tacc", "c3": "witness"}


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A class at iu, armed, and three coordinators, of which two look at it."""
    async with virtual_federation() as federation:
        federation.places = PLACES
        await begin(federation, *PLACES)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        leader = next(r for r in federation.transport.replicas.values() if r.standing.leads)
        hub = (await place(leader, **WORKSHOP)).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        yield federation, leader, hub


def reachable(replica: Replica, hub: str) -> Condition | None:
    stored = replica.snapshot.observation(hub)
    found = stored.document.conditions if stored is not None else ()
    return next((c for c in found if c.type is ConditionType.REACHABLE), None)


def says(replica: Replica, hub: str, status: Truth, words: str) -> Callable[[], bool]:
    def said() -> bool:
        condition = reachable(replica, hub)
        return condition is not None and condition.status is status and words in condition.message

    return said


def words(replica: Replica, hub: str) -> dict[str, str]:
    stored = replica.snapshot.under(keys.outlooks_of(hub), Outlook)
    return {one.document.coordinator: one.document.problem for one in stored}


async def test_the_witness_and_the_other_site_look_and_the_own_site_does_not() -> None:
    async with watched() as (_federation, leader, hub):
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))
        assert words(leader, hub) == {"c2": "", "c3": ""}


async def test_a_place_that_does_not_see_it_is_named_with_the_reason_and_nothing_is_moved() -> None:
    async with watched() as (federation, leader, hub):
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))
        federation.blind.add("c3")
        await until(says(leader, hub, Truth.FALSE, "seen from 1 of 2 places; not from witness: iu.memory:80: no route"))
        federation.blind.add("c2")
        await until(says(leader, hub, Truth.FALSE, "seen from 0 of 2 places"))
        await asyncio.sleep(120)
        assert owner(leader, hub) == "iu"
        federation.blind.clear()
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))


async def test_the_words_of_a_coordinator_that_fell_silent_are_not_shown_as_true() -> None:
    async with watched() as (federation, leader, hub):
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))
        victim = next(name for name in ("c2", "c3") if name != leader.identity.id)
        await federation.kill(victim)
        await until(says(leader, hub, Truth.TRUE, f"; {PLACES[victim]} does not say"))
        await federation.start_replica(victim)
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))


async def test_after_a_takeover_others_look_and_a_class_that_ends_is_not_spoken_of() -> None:
    async with watched() as (federation, leader, hub):
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))
        await federation.kill_site("iu")
        await until(lambda: owner(leader, hub) == "tacc")
        await until(says(leader, hub, Truth.TRUE, "seen from iu and witness"))
        assert words(leader, hub).keys() == {"c1", "c3"}
        await retire(leader)
        await retired(leader, hub)
        await until(lambda: words(leader, hub) == {})


async def test_looks_are_made_every_ten_seconds_at_most() -> None:
    async with watched() as (federation, leader, hub):
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))
        looks: list[float] = []
        seen = federation.names.seen_from_outside

        async def counted(host: str) -> object:
            looks.append(federation.clock.mono())
            return await seen(host)

        federation.names.seen_from_outside = counted  # type: ignore[method-assign, assignment]
        await asyncio.sleep(100)
        # two that look every ten seconds, and the leader, which looks after the name every twenty
        assert 15 <= len(looks) <= 2 * 10 + 5 + 2
