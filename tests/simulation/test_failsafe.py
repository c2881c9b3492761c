"""No coordinator answers, on virtual time: sites keep each other's leases, and a hub never runs twice (DESIGN.md 4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.agent import Agent
from federation.api.v1 import control_pb2
from federation.coordinator.move_orders import FailoverOrder
from federation.coordinator.replica import Replica
from federation.coordinator.wanted import auth_secret
from federation.model.errors import Refused
from federation.model.profile import PROFILES, ProfileName
from tests.simulation.test_place import join, place, served, until
from tests.simulation.test_takeover import WORKSHOP, armed, owner, protected, protected_class, serves
from tests.support.lost_register import Onlooker
from tests.support.virtual import VirtualFederation

pytestmark = pytest.mark.looptime

LAB = PROFILES[ProfileName.LAB]
STOPPED = {"stop", "fenced", "reboot"}


@asynccontextmanager
async def watched_class(**spec: Any) -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A workshop at iu, armed, with tacc as its standby; it is looked at all the time that only one of them serves it."""
    async with protected_class(**spec) as (federation, replica, hub):
        twice: list[float] = []

        async def look() -> None:
            while True:
                # the one without the hub first: that is the cheap look
                if await serves(federation, "tacc", hub) and await serves(federation, "iu", hub):
                    twice.append(federation.clock.mono())
                await asyncio.sleep(0.1)

        looking = asyncio.create_task(look())
        try:
            await until(lambda: all(agent.journal.record.members_version == 4 for agent in federation.agents.values()))
            yield federation, replica, hub
        finally:
            looking.cancel()
        assert twice == []


def stops(federation: VirtualFederation, site: str) -> list[str]:
    return [event for _, event, _ in federation.sites[site].events if event in STOPPED]


def close_at_s(agent: Agent, hub: str) -> float:
    return (agent.lease.held[hub].close_at_ns or 0) / 1_000_000_000


def deadline_s(federation: VirtualFederation, site: str, hub: str) -> float:
    """Until when the site has promised not to open the hub."""
    promises = federation.agents[site].lease.promises.running()
    return max((p.until_ns / 1_000_000_000 for p in promises if p.hub == hub), default=0.0)


@pytest.mark.timeout(280)
async def test_an_hour_without_coordinators_stops_nothing() -> None:
    """Long enough for the next proof of gate and fencer, too."""
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await asyncio.sleep(3700)
        assert stops(federation, "iu") == []
        assert await serves(federation, "iu", hub)
        assert federation.agents["iu"].failsafe.active
        replica = await federation.start_replica("c1")
        await until(lambda: owner(replica, hub) == "iu" and not federation.agents["iu"].failsafe.active)
        await asyncio.sleep(60)
        assert await serves(federation, "iu", hub)
        assert stops(federation, "iu") == []


async def test_both_sites_keep_each_others_classes() -> None:
    async with watched_class() as (federation, replica, hub):
        other = await place(replica, "geo", **{**WORKSHOP, "placement": {"allow": ["iu", "tacc"], "prefer": "tacc"}})
        second = other.record.document.uid
        await served(replica, second)
        await until(lambda: armed(replica, "tacc", second))
        await federation.kill("c1")
        await asyncio.sleep(300)
        assert await serves(federation, "iu", hub)
        assert await serves(federation, "tacc", second)
        assert stops(federation, "iu") + stops(federation, "tacc") == []


async def test_without_an_answer_of_its_peer_a_site_closes_at_d() -> None:
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await asyncio.sleep(60)
        await federation.kill("agent-tacc")
        began = federation.clock.mono()
        await until(lambda: hub not in federation.sites["iu"].hubs)
        assert federation.clock.mono() - began <= LAB.contact_s + LAB.fence_s


async def test_a_class_that_closed_opens_again_when_its_peer_answers_again() -> None:
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await federation.kill("agent-tacc")
        await until(lambda: hub not in federation.sites["iu"].hubs)
        federation.start_agent("tacc")
        await until(lambda: hub in federation.sites["iu"].hubs)
        await asyncio.sleep(30)
        assert await serves(federation, "iu", hub)


async def test_an_agent_that_is_restarted_in_the_outage_stops_nothing() -> None:
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await asyncio.sleep(60)
        for site in ("iu", "tacc"):
            await federation.kill(f"agent-{site}")
            await asyncio.sleep(1)
            federation.start_agent(site)
            await asyncio.sleep(60)
            assert await serves(federation, "iu", hub)
        assert stops(federation, "iu") == []


async def test_a_site_that_boots_in_the_outage_opens_its_class_again() -> None:
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await asyncio.sleep(60)
        await federation.kill_site("iu")
        await asyncio.sleep(30)
        federation.start_fencer("iu")
        federation.start_agent("iu")
        await asyncio.sleep(60)
        assert await serves(federation, "iu", hub)


async def test_no_fencer_no_failsafe() -> None:
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await asyncio.sleep(30)
        await federation.kill("fencer-iu")
        await until(lambda: hub not in federation.sites["iu"].hubs)
        assert hub not in federation.sites["tacc"].hubs


async def test_a_short_cut_from_the_coordinators_alone_stops_nothing() -> None:
    async with watched_class() as (federation, replica, hub):
        federation.transport.away.add("iu")
        await asyncio.sleep(LAB.takeover_s - 2 * LAB.renew_s)
        federation.transport.away.clear()
        await asyncio.sleep(60)
        assert owner(replica, hub) == "iu"
        assert stops(federation, "iu") == []


async def test_a_takeover_waits_for_the_promise_of_its_target() -> None:
    """The site is cut off from the coordinators only: the leader counts L, the failsafe holds the hub meanwhile."""
    async with watched_class() as (federation, replica, hub):
        federation.transport.away.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        assert await serves(federation, "iu", hub)
        await until(lambda: hub in federation.agents["tacc"].journal.record.accepted)
        promised = deadline_s(federation, "tacc", hub)
        assert promised > federation.clock.mono() + LAB.takeover_s - LAB.contact_s
        await asyncio.sleep(LAB.contact_s + LAB.fence_s)
        assert hub not in federation.sites["iu"].hubs, "it was told that somebody else is the owner, and asks no more"
        assert hub not in federation.sites["tacc"].hubs
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "promised iu until" in operation.document.waiting_for
        await until(lambda: hub in federation.sites["tacc"].hubs)
        assert federation.clock.mono() >= promised
        await served(replica, hub)
        assert await serves(federation, "tacc", hub)
        federation.transport.away.clear()
        await until(lambda: not replica.snapshot.ownership(hub).document.earlier)  # type: ignore[union-attr]


@pytest.mark.parametrize("fault", ["restart", "reboot"])
async def test_the_promise_of_a_target_outlives_its_agent_and_counts_anew_after_a_boot(fault: str) -> None:
    async with watched_class() as (federation, replica, hub):
        federation.transport.away.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await until(lambda: hub in federation.agents["tacc"].journal.record.accepted)
        promised = deadline_s(federation, "tacc", hub)
        await asyncio.sleep(3)
        if fault == "reboot":
            await federation.kill_site("tacc")
            federation.start_fencer("tacc")
            promised = federation.clock.mono() + LAB.takeover_s
        else:
            await federation.kill("agent-tacc")
        federation.start_agent("tacc")
        await until(lambda: hub in federation.sites["tacc"].hubs)
        assert federation.clock.mono() >= promised
        await served(replica, hub)


async def test_the_asker_restarted_after_it_was_superseded_does_not_open_again() -> None:
    async with watched_class() as (federation, replica, hub):
        federation.transport.away.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await until(lambda: hub in federation.agents["tacc"].journal.record.accepted)
        await federation.kill("agent-iu")
        federation.start_agent("iu")
        await served(replica, hub)
        await asyncio.sleep(60)
        assert not await serves(federation, "iu", hub)


async def test_a_register_that_comes_back_moves_nothing() -> None:
    """L is counted anew: silence while the register was away says nothing about the sites (H11)."""
    async with watched_class() as (federation, replica, hub):
        federation.stores["c1"].dead = True
        await asyncio.sleep(10 * LAB.takeover_s)
        assert await serves(federation, "iu", hub)
        federation.stores["c1"].dead = False
        await asyncio.sleep(4 * LAB.takeover_s)
        assert owner(replica, hub) == "iu"
        assert stops(federation, "iu") == []
        assert not federation.agents["iu"].failsafe.active


async def psc_joins(federation: VirtualFederation, replica: Replica, hub: str) -> None:
    """A third site that could start the class."""
    federation.add_site("psc")
    await join(replica, "psc")
    federation.start_agent("psc")
    federation.start_fencer("psc")
    await until(lambda: replica.sightings.age_s("psc") is not None)
    record = replica.snapshot.classroom_of(hub)
    assert record is not None
    secrets = replica.control_service.secrets_and_sites
    await secrets.set_secret(auth_secret(record.document), b"now for psc, too", (), "test")


async def test_a_member_that_the_owner_has_not_acknowledged_is_no_target() -> None:
    """It joined while the owner could not hear of it: it was never asked, and has promised nothing."""
    async with watched_class(placement={"allow": ["iu", "tacc", "psc"], "prefer": "iu"}) as (federation, replica, hub):
        federation.transport.away |= {"iu", "tacc"}
        await psc_joins(federation, replica, hub)
        await asyncio.sleep(3 * LAB.takeover_s)
        assert owner(replica, hub) == "iu"
        assert await serves(federation, "iu", hub)
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "psc: iu has not acknowledged it as a member" in operation.document.waiting_for


async def test_a_site_that_the_first_owner_does_not_know_takes_nothing_over_from_the_second() -> None:
    """iu is cut off and serves on tacc's promises. The class is tacc's by then, which never hears of it and dies for the
    coordinators; psc joined too late to be asked by iu, and has promised nothing (H5 c)."""
    everywhere = {"allow": ["iu", "tacc", "psc"], "prefer": "iu"}
    async with watched_class(placement=everywhere) as (federation, replica, hub):
        onlooker = Onlooker(federation, hub)
        looking = asyncio.create_task(onlooker.run())
        federation.transport.away.add("iu")
        began = federation.clock.mono()
        await psc_joins(federation, replica, hub)
        await until(lambda: any(m.site == "psc" for m in federation.agents["tacc"].journal.record.members))
        await until(lambda: federation.clock.mono() - began > LAB.takeover_s - 2 * LAB.renew_s)
        federation.transport.deaf.add("tacc")
        await until(lambda: owner(replica, hub) == "tacc", LAB.contact_s)
        federation.transport.away.add("tacc")
        federation.transport.deaf.clear()
        await asyncio.sleep(2 * LAB.takeover_s)
        assert hub not in federation.agents["tacc"].journal.record.accepted
        await replica.orders.failover("atm101", FailoverOrder("user/ann", "tacc burns", vouched_site="tacc"))
        await asyncio.sleep(2 * LAB.takeover_s)
        assert onlooker.twice == []
        assert await serves(federation, "iu", hub)
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "psc: iu, which has not confirmed that it closed" in operation.document.waiting_for
        federation.transport.away.discard("iu")
        await until(lambda: owner(replica, hub) == "iu")  # which needs nobody's promise but its own
        await served(replica, hub)
        looking.cancel()
        assert onlooker.twice == []


async def test_a_site_that_was_wiped_does_not_become_a_member_again_under_another_uid() -> None:
    """Its promises are gone with its disk, and who asked for them would not know (H5 b)."""
    async with watched_class() as (federation, replica, hub):
        federation.transport.away.add("iu")
        await until(lambda: deadline_s(federation, "tacc", hub) > 0)
        await federation.kill_site("tacc")
        federation.disks["tacc"].files.clear()
        request = control_pb2.JoinSiteRequest(name="tacc", kind="local", uid="uid-of-the-new-disk")
        before = replica.snapshot.members()
        with pytest.raises(Refused, match=r"is a member with another uid \(uid-tacc\)"):
            await replica.control_service.secrets_and_sites.join(request, "test")
        await asyncio.sleep(2 * LAB.takeover_s)
        assert replica.snapshot.members() == before
        assert owner(replica, hub) == "iu"


async def test_a_site_that_lost_its_journal_promises_nothing_before_it_has_read_the_register() -> None:
    async with watched_class() as (federation, _replica, hub):
        await federation.kill("c1")
        await federation.kill("agent-tacc")
        del federation.disks["tacc"].files[Path("/state/tacc/journal.json")]
        federation.start_agent("tacc")
        await until(lambda: hub not in federation.sites["iu"].hubs)
        assert federation.agents["tacc"].lease.promises.running() == ()


async def test_a_restart_does_not_end_the_quarantine_of_a_lost_journal() -> None:
    async with watched_class() as (federation, _replica, _hub):
        await federation.kill("agent-tacc")
        del federation.disks["tacc"].files[Path("/state/tacc/journal.json")]
        federation.start_agent("tacc")
        await until(lambda: federation.agents["tacc"].lease.heard > 0)
        lost = federation.clock.mono()
        await federation.kill("agent-tacc")
        agent = federation.start_agent("tacc")
        await until(lambda: agent.lease.heard > 0)
        assert "journal was lost" in agent.lease.unfit()
        await asyncio.sleep(LAB.takeover_s - (federation.clock.mono() - lost))
        assert agent.lease.unfit() == ""


async def test_without_peer_addresses_protected_says_what_an_outage_does() -> None:
    async with protected_class() as (federation, replica, hub):
        await until(lambda: "takes over in an outage" in protected(replica, hub).message)
        assert "failsafe" not in protected(replica, hub).message
        await federation.kill("agent-tacc")
        federation.failsafe = False
        federation.start_agent("tacc")
        await until(lambda: "failsafe" in protected(replica, hub).message)
        assert "tacc" in protected(replica, hub).message
        assert "closes it after 5 s" in protected(replica, hub).message
        await federation.kill("c1")
        await until(lambda: hub not in federation.sites["iu"].hubs)
