"""A site dies, is cut off, hangs or falls deaf, on virtual time: its hubs come back elsewhere, and never run twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.drivers.edges import Departed
from federation.coordinator.pausing import set_pause
from federation.coordinator.replica import Replica
from federation.model.operation import OperationKind, Step
from federation.model.profile import PROFILES, ProfileName
from federation.model.status import Condition, ConditionType, Truth
from tests.simulation.test_place import begin, join, place, served, step, until
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

LAB = PROFILES[ProfileName.LAB]
WORKSHOP: dict[str, Any] = {"storage": {"type": "none"}}
SMALL: dict[str, Any] = {
    **WORKSHOP,
    "roster": {"expected": 2, "admins": ["ann"], "users": ["s01", "s02"]},
}


def armed(replica: Replica, site: str, hub: str) -> bool:
    owned = replica.snapshot.owned(site, hub)
    return owned is not None and owned.may_be_taken_over


def condition(replica: Replica, hub: str, kind: ConditionType) -> Condition:
    stored = replica.snapshot.observation(hub)
    assert stored is not None
    return next(c for c in stored.document.conditions if c.type is kind)


def protected(replica: Replica, hub: str) -> Condition:
    return condition(replica, hub, ConditionType.PROTECTED)


def owner(replica: Replica, hub: str) -> str | None:
    stored = replica.snapshot.ownership(hub)
    return stored.document.owner if stored else None


@asynccontextmanager
async def protected_class(**spec: Any) -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A workshop at iu, armed, with tacc as its standby."""
    async with virtual_federation() as federation:
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(replica, **{**WORKSHOP, **spec})).record.document.uid
        await served(replica, hub)
        await until(lambda: armed(replica, "iu", hub))
        yield federation, replica, hub


async def serves(federation: VirtualFederation, site: str, hub: str) -> bool:
    return hub in federation.sites[site].hubs and await federation.sites[site].drivers().edge.is_open(hub)


async def test_the_hubs_of_a_dead_site_serve_at_the_standby_within_the_promised_time() -> None:
    async with protected_class() as (federation, replica, hub):
        began = federation.clock.mono()
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        assert federation.clock.mono() - began > LAB.takeover_s - LAB.renew_s
        await served(replica, hub)
        assert federation.clock.mono() - began < LAB.takeover_s + 15
        assert await serves(federation, "tacc", hub)
        named = await federation.names.read("atm101.localhost")
        assert named is not None
        assert named.target == "tacc.memory:80"
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert operation.document.kind is OperationKind.FAILOVER


async def test_a_site_that_is_cut_off_has_closed_and_stopped_before_the_other_opens() -> None:
    async with protected_class() as (federation, replica, hub):
        federation.transport.cut.add("iu")
        began = federation.clock.mono()
        await until(lambda: hub not in federation.sites["iu"].hubs)
        assert federation.clock.mono() - began <= LAB.contact_s + LAB.fence_s
        assert owner(replica, hub) == "iu"
        await until(lambda: owner(replica, hub) == "tacc")
        assert hub not in federation.sites["iu"].hubs


async def test_a_site_that_comes_back_does_not_serve_and_confirms_that_it_closed() -> None:
    async with protected_class() as (federation, replica, hub):
        federation.transport.cut.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        federation.transport.cut.clear()
        await until(lambda: not replica.snapshot.ownership(hub).document.earlier)  # type: ignore[union-attr]
        assert not await serves(federation, "iu", hub)
        assert await serves(federation, "tacc", hub)


async def test_the_edge_of_a_site_that_comes_back_tells_late_students_where_the_class_went() -> None:
    async with protected_class(dns={"host": "atm101.localhost", "aliases": ["weather.localhost"]}) as made:
        federation, replica, hub = made
        federation.transport.cut.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        assert not federation.sites["iu"].departed, "nobody has told it"
        await served(replica, hub)
        federation.transport.cut.clear()
        await until(lambda: not replica.snapshot.ownership(hub).document.earlier)  # type: ignore[union-attr]
        told = (Departed(hub, ("atm101.localhost", "weather.localhost")),)
        assert federation.sites["iu"].departed == told
        assert not federation.sites["tacc"].departed
        await asyncio.sleep(60)
        assert federation.sites["iu"].departed == told, "also when nothing of it is left to be stopped"


async def test_a_name_server_that_is_down_holds_up_the_name_and_nothing_else() -> None:
    async with protected_class() as (federation, replica, hub):
        federation.names.down = True
        other = (await place(replica, "met202", **WORKSHOP)).record.document.uid
        await until(lambda: step(replica, other) is Step.VERIFIED and armed(replica, "iu", other))
        await federation.kill_site("iu")
        await until(lambda: {owner(replica, hub), owner(replica, other)} == {"tacc"})
        await until(lambda: {step(replica, hub), step(replica, other)} == {Step.VERIFIED})
        assert await serves(federation, "tacc", hub)
        assert await serves(federation, "tacc", other)
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "the name service does not answer" in operation.document.waiting_for
        federation.names.down = False
        await served(replica, hub)
        await served(replica, other)
        named = await federation.names.read("atm101.localhost")
        assert named is not None
        assert named.target == "tacc.memory:80"


async def test_a_name_is_not_called_right_any_more_once_the_class_has_another_owner() -> None:
    async with protected_class() as (federation, replica, hub):
        named = ConditionType.NAME_CONVERGED
        await until(lambda: condition(replica, hub, named).status is Truth.TRUE)
        await federation.kill_site("iu")
        await until(lambda: condition(replica, hub, ConditionType.OWNED).message.startswith("tacc"))
        assert condition(replica, hub, named).status is Truth.UNKNOWN, "the last look was at the former owner's"
        await until(lambda: condition(replica, hub, named).status is Truth.TRUE)
        assert "tacc.memory:80" in condition(replica, hub, named).message


async def test_a_short_cut_stops_nothing() -> None:
    async with protected_class() as (federation, replica, hub):
        federation.transport.cut.add("iu")
        await asyncio.sleep(LAB.contact_s - 2 * LAB.renew_s)
        federation.transport.cut.clear()
        await asyncio.sleep(60)
        assert owner(replica, hub) == "iu"
        assert not any(event in {"stop", "fenced"} for _, event, _ in federation.sites["iu"].events)


async def test_after_a_lapse_that_nobody_used_the_class_opens_again_where_it_was() -> None:
    async with protected_class() as (federation, replica, hub):
        federation.transport.cut.add("iu")
        await until(lambda: hub not in federation.sites["iu"].hubs)
        federation.transport.cut.clear()
        await until(lambda: hub in federation.sites["iu"].hubs)
        await asyncio.sleep(30)
        assert await serves(federation, "iu", hub)
        assert owner(replica, hub) == "iu"
        assert step(replica, hub) is Step.DONE


async def test_a_dead_agent_is_no_way_to_run_on_the_fencer_stops_its_hubs() -> None:
    async with protected_class() as (federation, replica, hub):
        began = federation.clock.mono()
        await federation.kill("agent-iu")
        await until(lambda: hub not in federation.sites["iu"].hubs)
        assert federation.clock.mono() - began <= LAB.contact_s + LAB.fence_s + LAB.fencer_s
        assert owner(replica, hub) == "iu"
        await until(lambda: owner(replica, hub) == "tacc")
        assert ("fenced", hub) in [(event, which) for _, event, which in federation.sites["iu"].events]


async def test_a_start_that_hangs_keeps_nobody_from_stopping_the_hub_in_time() -> None:
    """As where a cluster's API or Helm is slow, and the order of a hub that runs is given once more. The agent's own F is
    kept: the fencer has nothing to do."""
    async with protected_class() as (federation, replica, hub):
        site = federation.sites["iu"]
        site.hangs.add(hub)
        await asyncio.sleep(60)
        assert await serves(federation, "iu", hub)
        federation.transport.cut.add("iu")
        began = federation.clock.mono()
        await until(lambda: hub not in site.hubs)
        assert federation.clock.mono() - began <= LAB.contact_s + LAB.fence_s
        assert "fenced" not in {event for _, event, _ in site.events}
        await until(lambda: owner(replica, hub) == "tacc")


async def test_a_deaf_site_is_granted_nothing_and_taken_over() -> None:
    """Its renewals arrive, the answers do not: it has fenced itself, and must not look alive for ever."""
    async with protected_class() as (federation, replica, hub):
        federation.transport.deaf.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        assert hub not in federation.sites["iu"].hubs


async def test_without_a_witness_nothing_is_armed_and_an_outage_moves_nothing() -> None:
    async with virtual_federation() as federation:
        federation.witness = False
        replica = await begin(federation)
        federation.start_fencer("iu")
        hub = (await place(replica, **WORKSHOP)).record.document.uid
        await served(replica, hub)
        federation.transport.cut.add("iu")
        await asyncio.sleep(300)
        assert owner(replica, hub) == "iu"
        assert await serves(federation, "iu", hub), "students who reach the site go on"
        assert "no witness" in protected(replica, hub).message


async def test_a_site_whose_fencer_dies_is_disarmed_and_goes_on() -> None:
    async with protected_class() as (federation, replica, hub):
        await federation.kill("fencer-iu")
        await until(lambda: not armed(replica, "iu", hub))
        await asyncio.sleep(60)
        assert await serves(federation, "iu", hub)
        assert "fencer" in protected(replica, hub).message
        federation.start_fencer("iu")
        await until(lambda: armed(replica, "iu", hub))


async def test_without_a_standby_that_lives_a_site_is_not_asked_to_fence_itself() -> None:
    async with protected_class() as (federation, replica, hub):
        await federation.kill_site("tacc")
        await until(lambda: not armed(replica, "iu", hub))
        federation.transport.cut.add("iu")
        await asyncio.sleep(120)
        assert await serves(federation, "iu", hub)


async def test_two_silent_sites_freeze_everything_and_say_so() -> None:
    async with protected_class() as (federation, replica, hub):
        other = await place(replica, "geo", **{**WORKSHOP, "placement": {"allow": ["iu", "tacc"], "prefer": "tacc"}})
        second = other.record.document.uid
        await served(replica, second)
        await until(lambda: armed(replica, "tacc", second))
        federation.transport.cut |= {"iu", "tacc"}
        await asyncio.sleep(120)
        assert (owner(replica, hub), owner(replica, second)) == ("iu", "tacc")
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "iu and tacc are silent" in operation.document.waiting_for
        federation.transport.cut.clear()
        await served(replica, hub)
        await until(lambda: hub in federation.sites["iu"].hubs)
        await asyncio.sleep(20)
        assert await serves(federation, "iu", hub)


@pytest.mark.parametrize("killed_after", [Step.ADMITTED, Step.OWNED, Step.STARTED, Step.VERIFIED, Step.NAMED])
async def test_the_leader_killed_after_any_step_of_a_failover_leaves_one_hub_that_serves(killed_after: Step) -> None:
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        leader, other = federation.leader_and_other()
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(leader, **WORKSHOP)).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        await federation.kill_site("iu")
        await until(lambda: reached_in_failover(leader, hub, killed_after))
        await federation.kill(leader.identity.id)
        await until(lambda: owner(other, hub) == "tacc")
        await served(other, hub)
        assert await serves(federation, "tacc", hub)
        starts = [event for _, event, which in federation.sites["tacc"].events if event == "start" and which == hub]
        assert len(starts) == 1


def reached_in_failover(replica: Replica, hub: str, wanted: Step) -> bool:
    stored = replica.snapshot.operation(hub)
    if stored is None or stored.document.kind is not OperationKind.FAILOVER:
        return False
    return any(record.step is wanted for record in stored.document.history)


async def test_a_new_leader_counts_from_its_own_first_sight() -> None:
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        leader, other = federation.leader_and_other()
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(leader, **WORKSHOP)).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        await federation.kill_site("iu")
        await asyncio.sleep(LAB.takeover_s - 3)
        await federation.kill(leader.identity.id)
        await until(lambda: other.standing.leads)
        elected = federation.clock.mono()
        await until(lambda: owner(other, hub) == "tacc")
        assert federation.clock.mono() - elected >= LAB.takeover_s


async def test_a_hub_is_moved_by_itself_once_an_hour_at_most() -> None:
    async with protected_class() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        federation.start_agent("iu")
        federation.start_fencer("iu")
        await until(lambda: armed(replica, "tacc", hub))
        await federation.kill_site("tacc")
        await asyncio.sleep(120)
        assert owner(replica, hub) == "tacc"
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "the next such move is allowed after an hour" in operation.document.waiting_for


async def test_when_a_pause_has_answered_nothing_moves_any_more_and_classes_run_on() -> None:
    async with protected_class() as (federation, replica, hub):
        admission = replica.control_service.admission
        assert await set_pause(admission, paused=True, reason="storage work", actor="user/ann")
        assert not await set_pause(admission, paused=True, reason="storage work", actor="user/ann")
        await until(lambda: not armed(replica, "iu", hub))
        federation.transport.cut.add("iu")
        await asyncio.sleep(60)
        assert await serves(federation, "iu", hub)
        assert "storage work" in protected(replica, hub).message
        federation.transport.cut.clear()
        await set_pause(admission, paused=False, reason="", actor="user/ann")
        await until(lambda: armed(replica, "iu", hub))


async def test_a_pause_in_the_last_moment_stops_a_takeover_that_is_under_way() -> None:
    async with protected_class() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: step(replica, hub) is Step.ADMITTED)
        await set_pause(replica.control_service.admission, paused=True, reason="wait", actor="user/ann")
        await asyncio.sleep(60)
        assert owner(replica, hub) == "iu"


async def several_classes(federation: VirtualFederation, replica: Replica, standbys: tuple[str, ...]) -> dict[str, str]:
    """Small classes at iu, all armed: each with the site that may take it over."""
    hubs: dict[str, str] = {}
    for site in ("iu", *set(standbys)):
        federation.start_fencer(site)
    for n, standby in enumerate(standbys):
        lasting = {"storage": {"type": "dynamic"}, "placement": {"allow": ["iu", standby], "prefer": "iu"}}
        admitted = await place(replica, f"class{n}", **{**SMALL, **lasting})
        hubs[admitted.record.document.uid] = standby
    for hub in hubs:
        await served(replica, hub)
    await until(lambda: all(armed(replica, "iu", hub) for hub in hubs))
    return hubs


async def test_as_many_as_may_restore_at_one_site_do_so_at_each_of_them() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        federation.add_site("psu")
        await join(replica, "psu")
        federation.start_agent("psu")
        await until(lambda: len([site for site in replica.snapshot.sites() if site.edge_address]) == 3)
        hubs = await several_classes(federation, replica, ("tacc", "tacc", "tacc", "psu", "psu"))
        federation.copies.restore_s = 20.0
        await federation.kill_site("iu")
        restoring: set[tuple[int, int]] = set()

        def all_started() -> bool:
            at_once = [len(federation.sites[site].restoring) for site in ("tacc", "psu")]
            restoring.add((at_once[0], at_once[1]))
            return all(owner(replica, hub) == hubs[hub] and step(replica, hub) is Step.DONE for hub in hubs)

        await until(all_started, 120)
        assert max(restoring) == (2, 2), "neither site waited for the other"
        assert max(tacc for tacc, _psu in restoring) == 2
        assert (1, 0) in restoring, "the third, when the first two were restored"


async def test_classes_that_cannot_start_at_the_standby_keep_no_other_class_waiting() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hubs = list(await several_classes(federation, replica, ("tacc", "tacc", "tacc")))
        for hub in hubs:
            federation.sites["tacc"].refuse(hub, "no such image")
        await federation.kill_site("iu")
        await until(lambda: all(owner(replica, hub) == "tacc" for hub in hubs), 60)
