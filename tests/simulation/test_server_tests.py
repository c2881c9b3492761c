"""Test servers on virtual time: at their rate, in their place, and a class whose servers do not start is moved, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.coordinator.replica import Replica
from federation.model.outlook import Trial
from federation.model.status import Condition, ConditionType, Truth
from federation.store import keys
from tests.simulation.test_moves import operation
from tests.simulation.test_outlook import PLACES
from tests.simulation.test_place import begin, place, served, until
from tests.simulation.test_takeover import WORKSHOP, armed, owner
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

EVERY_S = 30.0
BOUND_S = 4 * EVERY_S + 120.0  # a round, two repetitions, and the move
MEETS_NOW = [{"once": {"date": "2026-09-01", "at": "03:00", "minutes": 120}}]
BROKEN = "the hub answered 500: Internal Server Error"


@asynccontextmanager
async def class_with_tests(**spec: Any) -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A class at iu, armed, which tacc and the witness test."""
    async with virtual_federation() as federation:
        federation.places, federation.server_test_s = PLACES, EVERY_S
        await begin(federation, *PLACES)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        leader = next(r for r in federation.transport.replicas.values() if r.standing.leads)
        hub = (await place(leader, **{**WORKSHOP, **spec})).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        yield federation, leader, hub


def starts(replica: Replica, hub: str) -> Condition | None:
    stored = replica.snapshot.observation(hub)
    found = stored.document.conditions if stored is not None else ()
    return next((c for c in found if c.type is ConditionType.SERVERS_START), None)


def says(replica: Replica, hub: str, status: Truth, words: str) -> Callable[[], bool]:
    def said() -> bool:
        condition = starts(replica, hub)
        return condition is not None and condition.status is status and words in condition.message

    return said


def trials(replica: Replica, hub: str) -> dict[str, Trial]:
    stored = replica.snapshot.under(keys.trials_of(hub), Trial)
    return {one.document.coordinator: one.document for one in stored}


async def both_passed(replica: Replica, hub: str) -> None:
    await until(says(replica, hub, Truth.TRUE, "asked for from tacc and witness"), 4 * EVERY_S)


async def test_both_other_places_start_one_in_their_time_and_nothing_of_it_is_left() -> None:
    async with class_with_tests() as (federation, leader, hub):
        await both_passed(leader, hub)
        assert {one.passed for one in trials(leader, hub).values()} == {1}
        begun = federation.sites["iu"].admissions
        assert 2 <= begun <= 4
        await asyncio.sleep(4 * EVERY_S)
        assert 4 <= federation.sites["iu"].admissions - begun <= 10
        await until(lambda: federation.sites["iu"].testers == {})


async def test_where_the_file_does_not_ask_for_it_no_server_is_ever_started() -> None:
    async with virtual_federation() as federation:
        federation.places = PLACES
        await begin(federation, *PLACES)
        leader = next(r for r in federation.transport.replicas.values() if r.standing.leads)
        hub = (await place(leader, **WORKSHOP)).record.document.uid
        await served(leader, hub)
        await asyncio.sleep(3 * EVERY_S)
        assert federation.sites["iu"].admissions == 0
        assert starts(leader, hub) is None


async def test_a_class_whose_servers_do_not_start_any_more_moves_while_its_page_is_there() -> None:
    async with class_with_tests() as (federation, leader, hub):
        await both_passed(leader, hub)
        federation.sites["iu"].spawner_broken = BROKEN
        await until(lambda: owner(leader, hub) == "tacc", BOUND_S)
        await served(leader, hub)
        moved = operation(leader, hub)
        assert f"test servers asked for from tacc and witness did not start, 3 in a row: {BROKEN}" in moved.reason
        assert (moved.kind.value, moved.now, moved.unseen) == ("move", False, True)
        await until(says(leader, hub, Truth.TRUE, "asked for from iu and witness"), 4 * EVERY_S)
        assert federation.sites["iu"].testers == {}


async def test_it_is_not_moved_back_when_the_next_site_starts_none_either() -> None:
    async with class_with_tests() as (federation, leader, hub):
        await both_passed(leader, hub)
        for site in federation.sites.values():
            site.spawner_broken = BROKEN
        await until(lambda: owner(leader, hub) == "tacc", BOUND_S)
        await until(says(leader, hub, Truth.FALSE, "not moved: none has started there at generation 1"), BOUND_S)
        await asyncio.sleep(3 * EVERY_S)
        assert owner(leader, hub) == "tacc"


async def test_a_class_of_which_no_server_ever_started_stays_for_it_may_be_its_own_image() -> None:
    async with class_with_tests() as (federation, leader, hub):
        federation.sites["iu"].spawner_broken = BROKEN
        await until(says(leader, hub, Truth.FALSE, "not moved: none has started there at generation 1"), BOUND_S)
        assert owner(leader, hub) == "iu"
        federation.sites["iu"].spawner_broken = ""
        await both_passed(leader, hub)


async def test_one_place_that_starts_none_moves_nothing() -> None:
    async with class_with_tests() as (federation, leader, hub):
        await both_passed(leader, hub)
        await federation.kill(next(name for name in ("c2", "c3") if name != leader.identity.id))
        federation.sites["iu"].spawner_broken = BROKEN
        await asyncio.sleep(BOUND_S)
        assert owner(leader, hub) == "iu"


async def test_in_class_times_at_a_closed_site_and_when_all_seats_are_taken_none_is_started() -> None:
    async with class_with_tests(meetings=MEETS_NOW) as (federation, _leader, _hub):
        await asyncio.sleep(4 * EVERY_S)
        assert federation.sites["iu"].admissions == 0
    async with class_with_tests(roster={"expected": 1, "admins": ["prof"], "users": ["s01"]}) as (
        federation,
        leader,
        hub,
    ):
        federation.sites["iu"].start_server(hub, "s01")
        await asyncio.sleep(4 * EVERY_S)
        assert federation.sites["iu"].admissions == 0
        federation.sites["iu"].stop_server(hub, "s01")
        await both_passed(leader, hub)
        await leader.orders.cordon("iu", "new disks", "user/ann", drain=False)
        begun = federation.sites["iu"].admissions
        await asyncio.sleep(4 * EVERY_S)
        assert federation.sites["iu"].admissions == begun


async def test_a_test_that_nobody_ends_is_ended_by_the_site_when_its_ticket_has() -> None:
    async with class_with_tests() as (federation, _leader, _hub):
        await until(lambda: bool(federation.sites["iu"].testers), 4 * EVERY_S)
        for name in PLACES:
            await federation.kill(name)
        assert federation.sites["iu"].testers
        await until(lambda: federation.sites["iu"].testers == {}, 1000)
