"""Room before the bell, on virtual time: nodes are kept for a class, people are told what is missing, and all of it ends.

It is 03:00 in Chicago; the class meets at 03:20, wants its 25 seats from 03:05 on, and everybody has come by 03:25.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from agents.drivers.memory import PLACEHOLDERS, MemorySite
from federation.coordinator.hooks_loop import Hooks
from federation.coordinator.replica import Replica
from federation.core.room import Node, Size
from federation.model.hooks import Hook
from federation.model.status import Condition, ConditionType, Truth
from tests.simulation.test_place import begin, place, served
from tests.simulation.test_takeover import WORKSHOP
from tests.support.memory_hooks import MemoryHooks
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

GIB = 1 << 30
MEDIUM, SEAT = Size(7500, 28 * GIB), Size(1000, 2 * GIB)
CHAT = Hook(name="chat", url="http://chat.example.edu/x")
CLASS = {
    **WORKSHOP,
    "roster": {"expected": 25, "admins": ["ann"]},
    "resources": {"memory": {"guarantee": "2G", "limit": "2G"}},
    "meetings": [{"once": {"date": "2026-09-01", "at": "03:20", "minutes": 120}}],
}


@asynccontextmanager
async def class_in_a_cluster(nodes: int) -> AsyncIterator[tuple[VirtualFederation, Replica, str, MemoryHooks]]:
    told = MemoryHooks()
    async with virtual_federation() as federation:
        federation.hooks = Hooks((CHAT,), told, 40.0)
        replica = await begin(federation)
        federation.sites["iu"].nodes = tuple(Node(f"n{number}", MEDIUM) for number in range(nodes))
        hub = (await place(replica, **CLASS)).record.document.uid
        await served(replica, hub)
        yield federation, replica, hub, told


def room(replica: Replica, hub: str) -> Condition | None:
    stored = replica.snapshot.observation(hub)
    found = stored.document.conditions if stored is not None else ()
    return next((one for one in found if one.type is ConditionType.ROOM), None)


def message(replica: Replica, hub: str) -> str:
    said = room(replica, hub)
    return said.message if said is not None else ""


def sit(site: MemorySite, hub: str, *servers: int) -> None:
    """So many students have a server on the first nodes."""
    assert site.nodes is not None
    here = [Node(f"n{n}", MEDIUM, students=SEAT.times(count), servers={hub: count}) for n, count in enumerate(servers)]
    site.nodes = (*here, *site.nodes[len(here) :])


def turns(told: MemoryHooks) -> list[str]:
    """What the hook was told of seats."""
    return [turn for event, turn in told.of("chat") if event == "room"]


async def at(federation: VirtualFederation, minutes: float) -> None:
    """Wait until so many minutes after 03:00, and a little."""
    now = federation.clock.now() - datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
    await asyncio.sleep(minutes * 60 - now.total_seconds() + 30.0)


async def test_nodes_are_kept_from_the_warm_time_until_students_have_come_and_people_read_how_it_stands() -> None:
    async with class_in_a_cluster(nodes=3) as (federation, replica, hub, _told):
        iu = federation.sites["iu"]
        await at(federation, 4)
        assert (iu.held_nodes[0], room(replica, hub)) == (0, None)
        await at(federation, 5)
        assert iu.held_nodes == (4, MEDIUM)
        said = room(replica, hub)
        assert said is not None
        assert (said.status, said.reason) == (Truth.FALSE, "RoomMissing")
        assert said.message == "21 of 25 seats for 03:20: 1 more node is asked for"
        iu.nodes = tuple(Node(f"n{number}", MEDIUM) for number in range(4))
        await at(federation, 7)
        assert message(replica, hub) == "25 seats for 03:20 are there"
        sit(iu, hub, 7, 3)
        await at(federation, 21)
        assert iu.held_nodes[0] == 2, "students have pushed two away"
        await at(federation, 25)
        assert (iu.held_nodes[0], room(replica, hub)) == (0, None)


async def test_hooks_are_called_for_seats_that_are_missing_five_minutes_before_the_bell_and_no_sooner() -> None:
    async with class_in_a_cluster(nodes=3) as (federation, _replica, _hub, told):
        await at(federation, 14)
        assert turns(told) == []
        await at(federation, 15)
        assert turns(told) == ["begun"]
        federation.sites["iu"].nodes = tuple(Node(f"n{number}", MEDIUM) for number in range(4))
        await at(federation, 17)
        assert turns(told) == ["begun", "ended"]


async def test_a_site_that_cannot_keep_nodes_says_so_and_goes_on_and_forgets_none_of_it() -> None:
    async with class_in_a_cluster(nodes=3) as (federation, replica, hub, _told):
        iu = federation.sites["iu"]
        iu.refuse(PLACEHOLDERS, "forbidden")
        await at(federation, 6)
        assert message(replica, hub).endswith("1 more node is asked for, which failed: iu: forbidden")
        assert await iu.drivers().edge.is_open(hub)
        iu.refuse(PLACEHOLDERS, "")
        await at(federation, 7)
        assert iu.held_nodes[0] == 4


async def test_a_cluster_that_shows_no_nodes_for_a_moment_keeps_what_was_kept() -> None:
    async with class_in_a_cluster(nodes=3) as (federation, replica, hub, _told):
        iu = federation.sites["iu"]
        await at(federation, 6)
        iu.nodes = ()
        await at(federation, 7)
        assert iu.held_nodes[0] == 4
        assert "nobody can say" in message(replica, hub)


async def test_a_site_whose_machines_stay_says_nothing_of_seats() -> None:
    async with class_in_a_cluster(nodes=3) as (federation, replica, hub, _told):
        federation.sites["iu"].nodes = None
        await at(federation, 6)
        assert room(replica, hub) is None
        assert federation.sites["iu"].held_nodes[0] == 0
