"""A plan is carried out once, whoever orders it and however many listen; another one is not begun meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agents.drivers.base import Capacity
from agents.drivers.memory import MemorySite
from agents.preparing import SIGN_OF_LIFE_S, Preparing
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.preparation import Objection
from federation.runtime.supervisor import Supervisor
from tests.support.local_site import GIB
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime

CHARTS = {"traefik": "41.6.0", "cert-manager": "1.21.1"}


@pytest.fixture
async def here() -> AsyncIterator[tuple[MemorySite, Preparing]]:
    site = MemorySite("iu", VirtualClock(), Capacity(30_000, 60 * GIB))
    site.bare.wanted = dict(CHARTS)
    async with Supervisor("test") as tasks:
        yield site, Preparing(site.drivers().preparing, tasks)


def ask(fingerprint: str = "") -> agent_pb2.Ask:
    order = agent_pb2.PrepareAsk(apply=bool(fingerprint), fingerprint=fingerprint)
    return agent_pb2.Ask(id="a", prepare=order)


async def heard(preparing: Preparing, fingerprint: str = "") -> list[agent_pb2.Answer]:
    return [answer async for answer in preparing.answers(ask(fingerprint))]


async def planned(preparing: Preparing) -> types_pb2.PreparePlan:
    [answer] = await heard(preparing)
    assert (answer.done, answer.error) == (True, "")
    return answer.plan


def steps(answers: list[agent_pb2.Answer]) -> list[tuple[str, str]]:
    return [(answer.step.chart, answer.step.state) for answer in answers if answer.HasField("step")]


DONE = [("traefik", "begun"), ("traefik", "done"), ("cert-manager", "begun"), ("cert-manager", "done")]


async def test_a_plan_changes_nothing_and_an_order_carries_exactly_it_out(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    plan = await planned(preparing)
    assert site.bare.installed == {}
    assert [item.action for item in plan.items] == ["install", "install"]
    answers = await heard(preparing, plan.fingerprint)
    assert steps(answers) == DONE
    assert answers[-1].done
    assert site.bare.installed == CHARTS
    assert {item.action for item in (await planned(preparing)).items} == {"keep"}


async def test_what_has_changed_meanwhile_is_answered_with_the_plan_that_is_right_now(
    here: tuple[MemorySite, Preparing],
) -> None:
    site, preparing = here
    plan = await planned(preparing)
    site.bare.foreign.add("traefik")
    [answer] = await heard(preparing, plan.fingerprint)
    assert answer.plan.fingerprint not in ("", plan.fingerprint)
    assert [item.action for item in answer.plan.items] == ["leave", "install"]
    assert site.bare.installed == {}


async def test_a_plan_with_anything_against_it_is_not_carried_out(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    site.bare.against = (Objection(at="spec.prepare.storage", wrong="too few nodes"),)
    plan = await planned(preparing)
    [answer] = await heard(preparing, plan.fingerprint)
    assert answer.plan.objections[0].wrong == "too few nodes"
    assert site.bare.installed == {}


async def test_two_who_order_the_same_plan_see_it_carried_out_once(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    site.bare.takes_s = 5.0
    fingerprint = (await planned(preparing)).fingerprint
    first, second = await asyncio.gather(heard(preparing, fingerprint), heard(preparing, fingerprint))
    assert steps(first) == steps(second) == DONE
    assert site.clock.mono() == pytest.approx(10.0, abs=0.5)


async def test_while_one_is_carried_out_that_one_is_the_plan_and_no_other_is_begun(
    here: tuple[MemorySite, Preparing],
) -> None:
    site, preparing = here
    site.bare.takes_s = 5.0
    fingerprint = (await planned(preparing)).fingerprint
    running = asyncio.ensure_future(heard(preparing, fingerprint))
    await asyncio.sleep(1)
    plan = await planned(preparing)
    assert (plan.under_way, plan.fingerprint) == (True, fingerprint)
    [refused] = await heard(preparing, "another")
    assert "another plan is being carried out" in refused.error
    await running
    assert not (await planned(preparing)).under_way


async def test_who_leaves_stops_nothing_and_finds_it_again(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    site.bare.takes_s = 5.0
    fingerprint = (await planned(preparing)).fingerprint
    watching = asyncio.ensure_future(heard(preparing, fingerprint))
    await asyncio.sleep(1)
    watching.cancel()
    await asyncio.sleep(5)
    assert site.bare.installed == {"traefik": CHARTS["traefik"]}
    assert steps(await heard(preparing, fingerprint)) == DONE


async def test_while_nothing_becomes_of_it_the_last_step_is_said_again(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    site.bare.takes_s = 2.5 * SIGN_OF_LIFE_S
    answers = steps(await heard(preparing, (await planned(preparing)).fingerprint))
    assert answers.count(("traefik", "begun")) == 3


async def test_what_fails_ends_it_and_the_next_plan_goes_on_from_there(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    site.bare.stuck = "traefik"
    answers = steps(await heard(preparing, (await planned(preparing)).fingerprint))
    assert answers == [("traefik", "begun"), ("traefik", "failed"), ("cert-manager", "skipped")]
    site.bare.stuck = ""
    assert steps(await heard(preparing, (await planned(preparing)).fingerprint)) == DONE


async def test_a_cluster_that_cannot_be_looked_at_is_said(here: tuple[MemorySite, Preparing]) -> None:
    site, preparing = here
    site.bare.dead = "the cluster's API server does not answer"
    [answer] = await heard(preparing)
    assert (answer.done, answer.error) == (True, "the cluster's API server does not answer")
