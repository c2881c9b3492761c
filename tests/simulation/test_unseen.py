"""A class that nobody outside sees, on virtual time: moved with its work if its site is at fault, else left where it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.coordinator.pausing import set_pause
from federation.coordinator.replica import Replica
from federation.core.hooks import meaning_of
from federation.model.hooks import HookEvent
from federation.model.placing import Event
from federation.model.status import Truth
from federation.store import keys
from tests.simulation.test_homes import EVERY, index, notebook, work
from tests.simulation.test_moves import operation
from tests.simulation.test_outlook import PLACES, says
from tests.simulation.test_place import begin, place, served, until
from tests.simulation.test_takeover import WORKSHOP, armed, owner, serves
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

WORK = b"what was written last"
MEETS_NOW = [{"once": {"date": "2026-09-01", "at": "03:00", "minutes": 120}}]
BOUND_S = 60.0  # three looks ten seconds apart, the leader's own look, and the start


@asynccontextmanager
async def seen_class(**spec: Any) -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A class at iu in the middle of a meeting, with a student at work, which tacc and the witness see."""
    async with virtual_federation() as federation:
        federation.places = PLACES
        await begin(federation, *PLACES)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        leader = next(r for r in federation.transport.replicas.values() if r.standing.leads)
        hub = (await place(leader, **{"storage": EVERY, "meetings": MEETS_NOW, **spec})).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))
        yield federation, leader, hub


async def test_a_class_whose_edge_is_not_reached_moves_with_its_work_and_no_lease_is_waited_for() -> None:
    async with seen_class() as (federation, leader, hub):
        await until(lambda: index(leader, hub) is not None)
        federation.sites["iu"].start_server(hub, "s01")
        work(federation, hub, WORK)
        federation.hidden.add("iu")
        began = federation.clock.mono()
        await until(lambda: owner(leader, hub) == "tacc")
        await served(leader, hub)
        assert federation.clock.mono() - began < BOUND_S
        assert notebook(federation, hub, "tacc") == WORK
        assert await serves(federation, "tacc", hub)
        assert hub not in federation.sites["iu"].hubs
        assert "not seen from tacc and witness, 3 looks in a row" in operation(leader, hub).reason
        ownership = leader.snapshot.ownership(hub)
        assert ownership is not None
        assert ownership.document.taken_over is not None, "the next automatic move is an hour away"
        found = sorted(leader.snapshot.under(keys.EVENTS, Event), key=lambda stored: stored.key)
        told = [m for stored in found if (m := meaning_of(stored.document)) is not None]
        assert [(kind, turn.value) for kind, turn in told] == [
            (HookEvent.TAKEOVER, "begun"),
            (HookEvent.TAKEOVER, "ended"),
        ]


async def test_places_that_reach_nothing_move_nothing_and_it_is_said_why() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        federation.blind.update({"c2", "c3"})
        await until(says(leader, hub, Truth.FALSE, "not moved: nobody who misses it reaches tacc"))
        await asyncio.sleep(60)
        assert owner(leader, hub) == "iu"


async def test_one_place_that_does_not_see_it_moves_nothing() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        federation.blind.add("c3")
        await until(says(leader, hub, Truth.FALSE, "seen from 1 of 2 places"))
        await asyncio.sleep(60)
        assert owner(leader, hub) == "iu"


async def test_while_moves_are_paused_it_stays() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        await set_pause(leader.control_service.admission, paused=True, reason="storage work", actor="user/ann")
        federation.hidden.add("iu")
        await until(says(leader, hub, Truth.FALSE, "not moved: automatic moves are paused: storage work"))
        await asyncio.sleep(60)
        assert owner(leader, hub) == "iu"
        await set_pause(leader.control_service.admission, paused=False, reason="", actor="user/ann")
        await until(lambda: owner(leader, hub) == "tacc")


async def test_when_both_sites_are_missed_nothing_moves() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        placement = {"allow": ["iu", "tacc"], "prefer": "tacc"}
        other = (await place(leader, "met202", **WORKSHOP, placement=placement)).record.document.uid
        await served(leader, other)
        await until(says(leader, other, Truth.TRUE, "seen from iu and witness"))
        federation.hidden.update({"iu", "tacc"})
        await until(says(leader, hub, Truth.FALSE, "not moved: "))
        await until(says(leader, other, Truth.FALSE, "not moved: "))
        await asyncio.sleep(60)
        assert (owner(leader, hub), owner(leader, other)) == ("iu", "tacc")


async def test_when_the_name_service_fails_a_move_would_not_help_and_that_is_said() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        federation.names.down = True
        await until(says(leader, hub, Truth.FALSE, "not moved: it is the name that fails, so a move would not help"))
        await asyncio.sleep(60)
        assert owner(leader, hub) == "iu"


async def test_a_certificate_that_ended_here_and_holds_at_the_standby_moves_the_class_there_and_not_back() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        federation.stale.add("iu")
        await until(lambda: owner(leader, hub) == "tacc")
        await served(leader, hub)
        assert "3 looks in a row: tls name: expired" in operation(leader, hub).reason
        await until(says(leader, hub, Truth.TRUE, "seen from iu and witness"))
        await asyncio.sleep(120)
        assert owner(leader, hub) == "tacc"


async def test_a_certificate_that_has_ended_at_both_sites_moves_nothing_and_that_is_said() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        federation.stale.update({"iu", "tacc"})
        await until(says(leader, hub, Truth.FALSE, "not moved: nobody who misses it finds a certificate at tacc"))
        await asyncio.sleep(120)
        assert owner(leader, hub) == "iu"
        federation.stale.clear()
        await until(says(leader, hub, Truth.TRUE, "seen from tacc and witness"))


async def test_it_is_not_moved_a_second_time_within_the_hour_though_nobody_sees_it_there_either() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        federation.hidden.add("iu")
        await until(lambda: owner(leader, hub) == "tacc")
        await served(leader, hub)
        federation.hidden.clear()
        federation.hidden.add("tacc")
        await until(says(leader, hub, Truth.FALSE, "not moved: it was moved by itself"))
        await asyncio.sleep(60)
        assert owner(leader, hub) == "tacc"


async def test_a_site_that_dies_meanwhile_is_a_matter_of_takeover() -> None:
    async with seen_class(**WORKSHOP) as (federation, leader, hub):
        await federation.kill_site("iu")
        federation.hidden.add("iu")
        await until(lambda: owner(leader, hub) == "tacc")
        await served(leader, hub)
        assert operation(leader, hub).kind.value == "failover"
