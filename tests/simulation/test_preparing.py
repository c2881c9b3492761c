"""An admin has a site's cluster prepared, on virtual time: coordinators, streams and agents are the product's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from federation.api.v1 import control_pb2, types_pb2
from federation.coordinator.replica import Replica
from federation.model.errors import InvalidRequest, NotFound, NotLeader, Refused, Unavailable
from federation.model.placing import Event
from federation.store import keys
from federation.store.register import decode
from tests.simulation.test_place import begin, until
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

CHARTS = {"rook-ceph": "1.20.6", "rook-ceph-cluster": "1.20.6", "traefik": "41.6.0"}
ADA = "user/ada"


@asynccontextmanager
async def bare_site() -> AsyncIterator[tuple[VirtualFederation, Replica]]:
    """The site iu has nothing of what its file asks for; each chart takes 20 s."""
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        bare = federation.sites["iu"].bare
        bare.wanted, bare.takes_s = dict(CHARTS), 20.0
        leader, _other = federation.leader_and_other()
        await until(lambda: leader.sessions._open.get("iu") is not None)
        yield federation, leader


async def planned(leader: Replica, site: str = "iu") -> types_pb2.PreparePlan:
    [answer] = [a async for a in leader.control_service.preparing.answers(ask(site), ADA)]
    return answer.plan


def ask(site: str = "iu", fingerprint: str = "") -> control_pb2.PrepareSiteRequest:
    return control_pb2.PrepareSiteRequest(site=site, apply=bool(fingerprint), fingerprint=fingerprint)


async def ordered(leader: Replica, fingerprint: str) -> list[control_pb2.PrepareSiteResponse]:
    return [a async for a in leader.control_service.preparing.answers(ask("iu", fingerprint), ADA)]


def ended(answers: list[control_pb2.PrepareSiteResponse]) -> list[str]:
    return [a.step.chart for a in answers if a.step.state == "done"]


def noted(leader: Replica) -> list[tuple[str, str]]:
    """Who, and what, oldest first."""
    entries = sorted(leader.mirror.entries(f"{keys.EVENTS}site-iu/"), key=lambda entry: keys.tail(entry.key))
    events = [decode(entry, Event).document for entry in entries]
    return [(event.actor, event.message) for event in events if event.type == "site.prepare"]


async def test_a_plan_is_shown_ordered_and_seen_to_its_end_with_who_it_was() -> None:
    async with bare_site() as (federation, leader):
        plan = await planned(leader)
        assert [item.action for item in plan.items] == ["install"] * 3
        assert ended(await ordered(leader, plan.fingerprint)) == list(CHARTS)
        assert federation.sites["iu"].bare.installed == CHARTS
        await until(lambda: len(noted(leader)) > 1)
        assert noted(leader) == [(ADA, f"plan {plan.fingerprint} {what}") for what in ("ordered", "is done")]


async def test_what_changed_meanwhile_is_not_done_and_the_new_plan_is_the_answer() -> None:
    async with bare_site() as (federation, leader):
        plan = await planned(leader)
        federation.sites["iu"].bare.foreign.add("traefik")
        [answer] = await ordered(leader, plan.fingerprint)
        assert [item.action for item in answer.plan.items] == ["install", "install", "leave"]
        assert federation.sites["iu"].bare.installed == {}


async def test_who_stops_watching_stops_nothing() -> None:
    async with bare_site() as (federation, leader):
        plan = await planned(leader)
        async with aclosing(leader.control_service.preparing.answers(ask("iu", plan.fingerprint), ADA)) as answers:
            async for _answer in answers:
                break
        await until(lambda: federation.sites["iu"].bare.installed == CHARTS)


async def test_an_agent_that_dies_in_the_middle_is_said_and_the_next_plan_goes_on() -> None:
    async with bare_site() as (federation, leader):
        plan = await planned(leader)
        watching = asyncio.ensure_future(ordered(leader, plan.fingerprint))
        await until(lambda: "rook-ceph" in federation.sites["iu"].bare.installed)
        await federation.kill("agent-iu")
        with pytest.raises(Unavailable):
            await watching
        federation.start_agent("iu")
        await until(lambda: leader.sessions._open.get("iu") is not None)
        left = await planned(leader)
        assert [item.action for item in left.items] == ["keep", "install", "install"]
        assert ended(await ordered(leader, left.fingerprint)) == ["rook-ceph-cluster", "traefik"]


async def test_only_the_leader_has_agents_and_only_a_plan_that_is_named_is_carried_out() -> None:
    async with bare_site() as (federation, leader):
        _leader, other = federation.leader_and_other()
        with pytest.raises(NotLeader):
            await planned(other)
        with pytest.raises(NotFound):
            await planned(leader, "nowhere")
        unnamed = leader.control_service.preparing.answers(control_pb2.PrepareSiteRequest(site="iu", apply=True), ADA)
        with pytest.raises(InvalidRequest):
            await anext(unnamed)
        federation.sites["iu"].bare.dead = "the cluster's API server does not answer"
        with pytest.raises(Refused, match="does not answer"):
            await planned(leader)
