"""How long a hub lets nobody new in: as long as a move may take, and not until a coordinator is back."""

from __future__ import annotations

import asyncio

import pytest

from agents.draining import Drains
from federation.api.v1 import agent_pb2
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime
HUB = "atm101-abc123"
LIMIT_S = 720.0
TOLD = "This class moves"


def drain(operation: str = "op1", *, notice: str = TOLD, limit_s: float = LIMIT_S) -> agent_pb2.WantedHub:
    return agent_pb2.WantedHub(hub=HUB, state="draining", operation=operation, notice=notice, drain_limit_s=limit_s)


async def test_it_counts_from_when_the_drain_was_first_heard_of_whatever_its_notice_says_later() -> None:
    drains = Drains(VirtualClock())
    assert drains.notice(drain()) == TOLD
    await asyncio.sleep(LIMIT_S - 1)
    assert drains.notice(drain(notice="sooner")) == "sooner"
    await asyncio.sleep(1)
    assert drains.notice(drain(notice="sooner")) == ""


async def test_another_drain_counts_anew_and_so_does_one_after_the_hub_ran_in_between() -> None:
    drains = Drains(VirtualClock())
    drains.notice(drain())
    await asyncio.sleep(LIMIT_S)
    assert drains.notice(drain()) == ""
    assert drains.notice(drain("op2")) == TOLD
    await asyncio.sleep(LIMIT_S)
    assert drains.notice(agent_pb2.WantedHub(hub=HUB, state="running", operation="op2")) == ""
    assert drains.notice(drain("op2")) == TOLD


async def test_of_a_coordinator_that_names_no_limit_there_is_none() -> None:
    drains = Drains(VirtualClock())
    drains.notice(drain(limit_s=0.0))
    await asyncio.sleep(1e6)
    assert drains.notice(drain(limit_s=0.0)) == TOLD
