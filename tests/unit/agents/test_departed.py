"""Classes that left for another site: known by their names for an hour after the leader's last word of them."""

from __future__ import annotations

import asyncio

import pytest

from agents.departed import KEPT_S, DepartedHubs
from agents.drivers.base import Departed
from federation.api.v1 import agent_pb2, classroom_pb2
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime
HUB = "atm101-aaaaaa"
SPEC = classroom_pb2.ClassroomSpec()
SPEC.dns.host = "atm101.hubs.test"
SPEC.dns.aliases.append("weather.hubs.test")
GONE = {HUB: agent_pb2.WantedHub(hub=HUB, state="stopped", spec=SPEC, url="http://atm101.hubs.test")}
RETIRED = {HUB: agent_pb2.WantedHub(hub=HUB, state="stopped")}
TOLD = (Departed(HUB, ("atm101.hubs.test", "weather.hubs.test")),)


async def test_they_are_told_for_an_hour_after_the_directive_has_gone() -> None:
    departed = DepartedHubs(VirtualClock())
    assert departed.look(GONE, held=()) == TOLD
    await asyncio.sleep(KEPT_S - 1)
    assert departed.look({}, held=()) == TOLD
    await asyncio.sleep(1)
    assert departed.look({}, held=()) == ()


async def test_as_long_as_the_hub_is_held_it_has_not_left() -> None:
    departed = DepartedHubs(VirtualClock())
    assert departed.look(GONE, held={HUB}) == ()
    assert departed.look(GONE, held=()) == TOLD
    assert departed.look({}, held={HUB}) == (), "it came back"
    assert departed.look({}, held=()) == ()


async def test_a_class_that_was_retired_is_nowhere_else() -> None:
    assert DepartedHubs(VirtualClock()).look(RETIRED, held=()) == ()
