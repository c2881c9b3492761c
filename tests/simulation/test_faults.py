"""Faults at bad moments, on virtual time: what is taken away stays away, what is said is true, nothing runs twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agents.drivers import memory
from agents.drivers.base import HubView
from federation.api.v1 import agent_pb2
from federation.coordinator.admission import PlaceOrder
from federation.coordinator.events import too_many
from federation.coordinator.replica import Replica
from federation.model.errors import Unavailable
from federation.model.operation import Step
from federation.model.ownership import AgentRecord
from federation.model.placing import Event
from federation.model.status import ConditionType, HubPhase, Truth
from federation.store import keys
from federation.store.election import Leadership
from federation.store.memory import MemoryStore
from federation.store.register import decode
from tests.simulation.test_place import begin, observed_phase, operation_id, place, served, step, until
from tests.support.classrooms import classroom
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

LEASE_S = 5.0  # of a leader


async def retired(replica: Replica, hub: str) -> None:
    await until(lambda: step(replica, hub) is Step.DONE and operation_id(replica, hub).startswith("retire"))


async def retire(replica: Replica, *, delete_homes: bool = False) -> None:
    await replica.control_service.admission.retire("atm101", delete_homes=delete_homes, actor="user/ann")


def waiting_for(replica: Replica, hub: str) -> str:
    stored = replica.snapshot.operation(hub)
    return stored.document.waiting_for if stored else ""


async def is_open(federation: VirtualFederation, hub: str) -> bool:
    return await federation.sites["iu"].drivers().edge.is_open(hub)


def incarnation_of(replica: Replica, site: str) -> int:
    stored = replica.snapshot.get(keys.agent(site), AgentRecord)
    return stored.document.incarnation if stored is not None else 0


async def test_a_retire_is_not_done_before_the_agent_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that has just started knows of nothing yet; that is no evidence that nothing runs."""
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await federation.kill("agent-iu")
        look = memory.MemoryHubs.observe

        async def slow(self: memory.MemoryHubs, hub: str) -> HubView:
            await asyncio.sleep(0.5)
            return await look(self, hub)

        monkeypatch.setattr(memory.MemoryHubs, "observe", slow)
        await retire(replica)
        federation.start_agent("iu")
        await retired(replica, hub)
        assert hub not in federation.sites["iu"].hubs


async def test_homes_are_deleted_when_a_retire_with_its_homes_is_done() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await retire(replica, delete_homes=True)
        await retired(replica, hub)
        assert hub not in federation.sites["iu"].homes


async def test_homes_of_a_class_that_was_retired_before_can_still_be_deleted() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await retire(replica)
        await retired(replica, hub)
        assert hub in federation.sites["iu"].homes
        await retire(replica, delete_homes=True)
        await until(lambda: hub not in federation.sites["iu"].homes)
        await retired(replica, hub)


async def test_a_full_disk_cannot_keep_a_class_open_whose_ownership_ended() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        federation.disks["iu"].full = True
        await retire(replica)
        await asyncio.sleep(60)
        assert not await is_open(federation, hub)
        assert federation.sites["iu"].hubs == {}
        federation.disks["iu"].full = False
        await retired(replica, hub)


async def test_an_old_lease_file_does_not_bring_back_what_the_journal_says_has_ended() -> None:
    """Kill -9 between the journal and the lease file, and nobody answers after the restart."""
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        files = federation.disks["iu"].files
        before = {path: files[path] for path in (Path("/run/iu/lease.json"), Path("/state/iu/wanted.bin"))}
        await retire(replica)
        await retired(replica, hub)
        await federation.kill("agent-iu")
        await federation.kill("c1")
        files.update(before)
        federation.start_agent("iu")
        await asyncio.sleep(60)
        assert federation.sites["iu"].hubs == {}
        assert not await is_open(federation, hub)


async def test_a_hub_that_runs_without_a_lease_file_is_stopped_when_it_has_ended() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await federation.kill("agent-iu")
        del federation.disks["iu"].files[Path("/run/iu/lease.json")]
        await retire(replica)
        await asyncio.sleep(5)
        federation.start_agent("iu")
        await retired(replica, hub)
        assert federation.sites["iu"].hubs == {}


async def test_what_a_site_cannot_do_is_said_where_the_admin_looks() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admitted = await place(replica)
        hub = admitted.record.document.uid
        federation.sites["iu"].refusals[hub] = "oauthenticator is missing"
        await until(lambda: "oauthenticator is missing" in waiting_for(replica, hub))
        federation.sites["iu"].refusals.clear()
        await served(replica, hub)


async def test_a_site_that_reports_no_more_is_not_called_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals arrive by another replica, but no stream to the leader can be made."""
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await until(lambda: observed_phase(replica, hub) is HubPhase.SERVING)

        async def never(*_: object) -> None:
            await asyncio.sleep(5)
            raise Unavailable("no stream")

        monkeypatch.setattr("agents.link.Link._talk_once", never)
        replica.sessions.end_all()
        await asyncio.sleep(60)
        observed = replica.snapshot.observation(hub)
        assert observed is not None
        serving = next(c for c in observed.document.conditions if c.type is ConditionType.SERVING)
        assert serving.status is Truth.UNKNOWN


async def test_a_change_of_leader_is_no_news_of_a_class_that_serves() -> None:
    async with virtual_federation() as federation:
        first = await begin(federation, "c1", "c2")
        second = federation.transport.replicas["c2"]
        leader, other = (first, second) if first.standing.leads else (second, first)
        hub = (await place(leader)).record.document.uid
        await served(leader, hub)
        await asyncio.sleep(30)
        before = {entry.key for entry in other.mirror.entries(keys.EVENTS)}
        await federation.kill(leader.identity.id)
        await until(lambda: other.standing.leads)
        await asyncio.sleep(60)
        news = [decode(e, Event).document for e in other.mirror.entries(keys.EVENTS) if e.key not in before]
        assert [event.type for event in news if event.type.startswith(("hub.", "site."))] == []


async def test_a_term_that_was_over_before_its_winner_heard_of_it_hides_no_leader() -> None:
    """The answer to its election came when somebody else had been elected: agents that ask it are sent to that one."""
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        leader, other = federation.leader_and_other()
        clock = federation.clock
        over = Leadership(federation.store, keys.LEADER, 1, 0, LEASE_S, clock, sent_mono=clock.mono() - LEASE_S)
        await other._lead(over)
        assert other.standing.leader_address == leader.identity.address


async def test_a_hello_that_comes_late_from_a_process_that_is_dead_supersedes_nobody() -> None:
    """It was under way when the agent was killed, and the register was slow: the agent that was started since would end,
    for good, and its site with it."""
    async with virtual_federation() as federation:
        replica = await begin(federation)
        late = agent_pb2.HelloRequest(site="iu", uid="uid-iu", machine_id="machine", after=0)
        for incarnation in (2, 3):
            await federation.kill("agent-iu")
            federation.start_agent("iu")
            await until(lambda n=incarnation: incarnation_of(replica, "iu") == n)  # type: ignore[misc]
        answer = await replica.agent_service.Hello(late, None)
        assert (answer.ask_again, answer.incarnation) == (True, 3)
        assert incarnation_of(replica, "iu") == 3


async def test_an_agent_whose_journal_is_lost_is_told_whom_it_succeeds() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await federation.kill("agent-iu")
        federation.disks["iu"].files.clear()
        federation.start_agent("iu")
        await until(lambda: incarnation_of(replica, "iu") == 2)


async def test_a_site_that_was_silent_before_the_restart_of_all_coordinators_gets_no_class() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await federation.kill("agent-tacc")
        await asyncio.sleep(60)
        await federation.kill("c1")
        replica = await federation.start_replica("c1")
        await until(lambda: replica.standing.leads)
        hub = (await place(replica, placement={"allow": ["tacc"]})).record.document.uid
        await until(lambda: "never heard" in waiting_for(replica, hub))
        assert replica.snapshot.assignment(hub) is None


async def test_classes_placed_at_the_same_moment_do_not_share_one_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        commit = federation.store.commit

        async def slow(*arguments: object, **more: object) -> object:
            await asyncio.sleep(0.01)  # as a real register takes
            return await commit(*arguments, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(federation.store, "commit", slow)
        spec = {"roster": {"expected": 20, "admins": ["ann"]}, "placement": {"allow": ["iu"]}}
        await asyncio.gather(*(place(replica, f"c{n}", **spec) for n in range(4)))
        await asyncio.sleep(30)
        iu = next(site for site in replica.planner.sites() if site.name == "iu")
        assert 0 < iu.reserved_cpu_millis <= iu.cpu_millis


async def test_a_class_that_outgrows_its_site_goes_on_as_it_was_and_says_why() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        larger = classroom("atm101", roster={"expected": 60, "admins": ["ann"], "users": ["s01"]})
        await replica.control_service.admission.place(larger, PlaceOrder(actor="user/ann", overwrite=True))
        await until(lambda: "no room for the change" in waiting_for(replica, hub))
        assert federation.sites["iu"].hubs[hub].order.generation == 1


async def test_an_emptied_register_is_not_taken_for_a_new_one() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await asyncio.sleep(30)
        await federation.kill("c1")
        federation.store = MemoryStore(federation.clock)
        replica = await federation.start_replica("c1")
        assert "the register is empty" in replica.ports.register.fault
        await asyncio.sleep(600)
        assert (await federation.store.list("")).entries == (), "nothing was written"
        assert await is_open(federation, hub), "and what runs runs on"


def test_of_each_subject_the_newest_events_are_kept() -> None:
    events = [f"event/a/{n:03}" for n in range(5)] + [f"event/b/{n:03}" for n in range(2)]
    assert list(too_many(events, kept=3)) == ["event/a/000", "event/a/001"]
