"""A whole place on virtual time: real coordinator and agent code, in-memory store, transport and site.

Kill -9 at every step is here in its cheap form, for every step and either victim; `tests/e2e` does it with processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from federation.api.v1 import control_pb2, types_pb2
from federation.coordinator.admission import Admitted, PlaceOrder
from federation.coordinator.replica import Replica
from federation.model.operation import Step
from federation.model.status import HubPhase
from tests.support.classrooms import classroom
from tests.support.virtual import VirtualClock, VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

STEPS = [Step.ADMITTED, Step.ASSIGNED, Step.STARTED, Step.VERIFIED, Step.NAMED]


async def until(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.05)


async def begin(federation: VirtualFederation, *replicas: str) -> Replica:
    """Replicas and both sites, joined and heard."""
    started = [await federation.start_replica(name) for name in (replicas or ("c1",))]
    first = started[0]
    for name in ("iu", "tacc"):
        federation.add_site(name)
        await until(lambda: first.mirror.get("reg/id") is not None)
        await join(first, name)
        federation.start_agent(name)
    await until(lambda: all(first.sightings.age_s(name) is not None for name in ("iu", "tacc")))
    await until(lambda: all(site.edge_address for site in first.snapshot.sites()))
    return first


async def join(replica: Replica, site: str) -> None:
    request = control_pb2.JoinSiteRequest(
        name=site,
        kind="local",
        uid=f"uid-{site}",
        capacity=types_pb2.Capacity(cpu_millis=30000, memory_bytes=60 * 2**30),
    )
    await replica.control_service.secrets_and_sites.join(request, "test")


async def place(replica: Replica, name: str = "atm101", **spec: object) -> Admitted:
    admission = replica.control_service.admission
    return await admission.place(classroom(name, **spec), PlaceOrder(actor="user/ann", request_id="r1"))


def step(replica: Replica, hub: str) -> Step | None:
    stored = replica.snapshot.operation(hub)
    return stored.document.step if stored else None


async def served(replica: Replica, hub: str) -> None:
    await until(lambda: step(replica, hub) is Step.DONE)


async def test_a_place_ends_in_a_hub_that_serves_under_its_name() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admitted = await place(replica)
        hub = admitted.record.document.uid
        await served(replica, hub)
        assert list(federation.sites["iu"].hubs) == [hub]
        assert federation.sites["tacc"].hubs == {}
        named = await federation.names.read("atm101.localhost")
        assert named is not None
        assert named.hub == hub
        await until(lambda: observed_phase(replica, hub) is HubPhase.SERVING)
        assert admitted.generated["password"]


def observed_phase(replica: Replica, hub: str) -> HubPhase | None:
    stored = replica.snapshot.observation(hub)
    return stored.document.phase if stored else None


@pytest.mark.parametrize("killed_after", STEPS)
async def test_the_leader_killed_after_any_step_leaves_one_place_finished_once(killed_after: Step) -> None:
    async with virtual_federation() as federation:
        first = await begin(federation, "c1", "c2")
        second = federation.transport.replicas["c2"]
        leader, other = (first, second) if first.standing.leads else (second, first)
        admitted = await place(leader)
        hub = admitted.record.document.uid
        await until(lambda: reached(leader, hub, killed_after))
        await federation.kill(leader.identity.id)
        await served(other, hub)
        assert sum(event == "start" for _, event, _ in federation.sites["iu"].events) == 1
        history = other.snapshot.operation(hub)
        assert history is not None
        steps = [record.step for record in history.document.history]
        assert steps == [*STEPS, Step.DONE]


def reached(replica: Replica, hub: str, wanted: Step) -> bool:
    stored = replica.snapshot.operation(hub)
    return stored is not None and any(record.step is wanted for record in stored.document.history)


@pytest.mark.parametrize("killed_after", STEPS)
async def test_the_agent_killed_after_any_step_adopts_its_hub(killed_after: Step) -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admitted = await place(replica)
        hub = admitted.record.document.uid
        await until(lambda: reached(replica, hub, killed_after))
        await federation.kill("agent-iu")
        federation.start_agent("iu")
        await served(replica, hub)
        assert sum(event == "start" for _, event, _ in federation.sites["iu"].events) == 1


async def test_retire_stops_the_hub_keeps_its_homes_and_restore_brings_it_back() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admission = replica.control_service.admission
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        retired = await admission.retire("atm101", delete_homes=False, actor="user/ann")
        await until(lambda: step(replica, hub) is Step.DONE and operation_id(replica, hub) == retired.operation.id)
        assert federation.sites["iu"].hubs == {}
        assert hub in federation.sites["iu"].homes
        assert await federation.names.read("atm101.localhost") is None
        restored = await admission.restore("atm101", actor="user/ann")
        await until(lambda: step(replica, hub) is Step.DONE and operation_id(replica, hub) == restored.operation.id)
        assert list(federation.sites["iu"].hubs) == [hub]


def operation_id(replica: Replica, hub: str) -> str:
    stored = replica.snapshot.operation(hub)
    return stored.document.id if stored else ""


async def test_placed_again_under_its_old_name_a_class_starts_with_other_homes() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admission = replica.control_service.admission
        first = (await place(replica)).record.document.uid
        await served(replica, first)
        await admission.retire("atm101", delete_homes=False, actor="user/ann")
        await until(lambda: step(replica, first) is Step.DONE and operation_id(replica, first).startswith("retire"))
        again = await admission.place(classroom("atm101"), PlaceOrder(actor="user/ann", request_id="r2"))
        second = again.record.document.uid
        await served(replica, second)
        assert second != first
        assert set(federation.sites["iu"].homes) == {first, second}


async def test_hubs_run_on_while_no_coordinator_answers_and_the_agent_restarts() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await federation.kill("c1")
        await asyncio.sleep(600)
        await federation.kill("agent-iu")
        federation.start_agent("iu")
        await asyncio.sleep(600)
        site = federation.sites["iu"]
        assert list(site.hubs) == [hub]
        assert await site.drivers().edge.is_open(hub)
        assert not any(event == "stop" for _, event, _ in site.events)


async def test_a_hub_killed_while_no_coordinator_answers_is_mended_from_the_saved_directive() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await federation.kill("c1")
        await federation.kill("agent-iu")
        federation.start_agent("iu")
        federation.sites["iu"].kill_hub(hub)
        await until(lambda: federation.sites["iu"].hubs[hub].hub_alive)


async def test_a_full_disk_at_the_site_opens_nothing_and_says_so_until_there_is_room() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        federation.disks["iu"].full = True
        hub = (await place(replica)).record.document.uid
        await asyncio.sleep(60)
        assert federation.sites["iu"].hubs == {}
        federation.disks["iu"].full = False
        await served(replica, hub)


async def test_a_restored_class_waits_for_the_site_that_has_its_homes_and_is_never_opened_empty_elsewhere() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admission = replica.control_service.admission
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await admission.retire("atm101", delete_homes=False, actor="user/ann")
        await until(lambda: federation.sites["iu"].hubs == {} and step(replica, hub) is Step.DONE)
        await place(replica, "big", roster={"expected": 25, "admins": ["ann"]})
        await until(lambda: len(federation.sites["iu"].hubs) == 1)
        await admission.restore("atm101", actor="user/ann")
        await asyncio.sleep(60)
        assert federation.sites["tacc"].hubs == {}
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "its students' homes are at iu" in operation.document.waiting_for


def meets_now() -> dict[str, Any]:
    now = VirtualClock().now()
    hour = {"date": f"{now:%Y-%m-%d}", "at": f"{now:%H:%M}", "minutes": 10}
    term = {"start": "2026-01-01", "end": "2027-12-31", "timezone": "UTC"}
    return {"term": term, "meetings": [{"once": hour, "warm": "0m"}]}


async def test_a_change_that_restarts_the_hub_waits_for_the_end_of_the_class() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        spec = meets_now()
        admission = replica.control_service.admission
        hub = (await place(replica, **spec)).record.document.uid
        await served(replica, hub)
        changed = {**spec, "dns": {"host": "weather.localhost"}}
        await admission.place(classroom("atm101", **changed), PlaceOrder(actor="user/ann", overwrite=True))
        await asyncio.sleep(120)
        assert step(replica, hub) is Step.ADMITTED
        site = federation.sites["iu"]
        assert site.hubs[hub].order.generation == 1, "students go on with what they have"
        assert await federation.names.read("atm101.localhost") is not None
        await asyncio.sleep(600)
        assert step(replica, hub) is Step.DONE
        assert site.hubs[hub].order.generation == 2
        assert await federation.names.read("weather.localhost") is not None
        assert await federation.names.read("atm101.localhost") is None, "the former name is given up"


async def test_now_lifts_a_change_that_waits_for_the_end_of_a_class() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        spec = meets_now()
        admission = replica.control_service.admission
        hub = (await place(replica, **spec)).record.document.uid
        await served(replica, hub)
        changed = classroom("atm101", **spec, limits={"start_timeout": 500})
        await admission.place(changed, PlaceOrder(actor="user/ann", overwrite=True))
        await asyncio.sleep(60)
        assert step(replica, hub) is Step.ADMITTED
        again = await admission.place(changed, PlaceOrder(actor="user/ann", now=True))
        assert not again.changed
        await served(replica, hub)


async def test_a_place_whose_answer_was_lost_is_repeated_and_says_the_password_again() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        admission = replica.control_service.admission
        order = PlaceOrder(actor="user/ann", request_id="r1", offered_password="legible22")
        first = await admission.place(classroom("atm101"), order)
        again = await admission.place(classroom("atm101"), order)
        assert first.generated == again.generated == {"password": "legible22"}
        assert first.record.document.uid == again.record.document.uid
