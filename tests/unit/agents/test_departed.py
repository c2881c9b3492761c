"""Classes that left for another site: known by their names for an hour after the leader's last word of them."""

from __future__ import annotations

import asyncio

import pytest

from agents.departed import KEPT_S, DepartedHubs
from agents.drivers.edges import Departed
from federation.api.v1 import agent_pb2, classroom_pb2
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime
HUB = "atm101-aaaaaa"
SPEC = classroom_pb2.ClassroomSpec()
SPEC.dns.host = "atm101.hubs.test"
SPEC.dns.aliases.append("weather.hubs.test")
GONE = agent_pb2.WantedHub(hub=HUB, state="stopped", spec=SPEC, url="http://atm101.hubs.test")
RETIRED = agent_pb2.WantedHub(hub=HUB, state="stopped")
BACK = agent_pb2.WantedHub(hub=HUB, state="running", spec=SPEC)
TOLD = (Departed(HUB, ("atm101.hubs.test", "weather.hubs.test")),)


async def test_they_are_told_for_an_hour_after_the_leaders_last_word() -> None:
    departed = DepartedHubs(VirtualClock())
    departed.note([GONE])
    assert departed.look(held=()) == TOLD
    await asyncio.sleep(KEPT_S - 1)
    assert departed.look(held=()) == TOLD
    await asyncio.sleep(1)
    assert departed.look(held=()) == ()


async def test_as_long_as_the_hub_is_held_it_has_not_left_and_what_was_said_once_is_remembered() -> None:
    """The directive that stops it may have gone again before the edge is told that nothing is held any more."""
    departed = DepartedHubs(VirtualClock())
    departed.note([GONE])
    assert departed.look(held={HUB}) == ()
    assert departed.look(held=()) == TOLD


async def test_one_that_comes_back_has_not_left() -> None:
    departed = DepartedHubs(VirtualClock())
    departed.note([GONE])
    departed.note([BACK])
    assert departed.look(held=()) == ()


async def test_a_class_that_was_retired_is_nowhere_else() -> None:
    departed = DepartedHubs(VirtualClock())
    departed.note([RETIRED])
    assert departed.look(held=()) == ()
