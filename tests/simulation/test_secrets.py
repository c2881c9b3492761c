"""A new value of a secret restarts the hubs that use it: never in the middle of a class, unless an admin says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from federation.api.v1 import agent_pb2, control_pb2
from federation.coordinator.admission import PlaceOrder
from federation.coordinator.replica import Replica
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import auth_secret
from federation.model.errors import InvalidRequest, Refused
from federation.model.ownership import AgentRecord
from federation.model.placing import SealedSecret
from federation.store import keys
from federation.store.mirror import Mirror
from federation.store.register import Changes
from tests.simulation.test_place import begin, meets_now, place, served, until
from tests.support.classrooms import classroom
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

SHARED: dict[str, Any] = {"auth": {"type": "dummy", "secret": "shared"}}


async def set_secret(replica: Replica, value: str, *, now: bool = False) -> control_pb2.SetSecretResponse:
    secrets = replica.control_service.secrets_and_sites
    return await secrets.set_secret("shared", value.encode(), (), "user/ann", at_once=now)


async def until_set(replica: Replica) -> None:
    await until(lambda: replica.snapshot.secret("shared") is not None)


def value_of(federation: VirtualFederation, hub: str) -> str:
    """What the hub was last started with."""
    return federation.sites["iu"].hubs[hub].order.secrets["auth"]


async def test_a_class_that_meets_keeps_its_secret_until_its_meeting_ends_others_get_the_new_one() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await set_secret(replica, "one")
        await until_set(replica)
        meets = (await place(replica, "meets", **meets_now(), **SHARED)).record.document.uid
        rests = (await place(replica, "rests", **SHARED)).record.document.uid
        await served(replica, meets)
        await served(replica, rests)
        answer = await set_secret(replica, "two")
        assert answer.notes == [
            "meets: its hub restarts with this value after the class that ends at 08:10 UTC, or with --now",
            "rests: its hub restarts with this value within seconds; running servers live on",
        ]
        await asyncio.sleep(60)
        assert (value_of(federation, meets), value_of(federation, rests)) == ("one", "two")
        await set_secret(replica, "three")
        await asyncio.sleep(60)
        assert (value_of(federation, meets), value_of(federation, rests)) == ("one", "three")
        await asyncio.sleep(600)
        assert value_of(federation, meets) == "three"


async def test_a_class_that_a_replica_admits_which_has_not_heard_of_a_site_yet_is_sealed_to_that_site_too() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        known = replica.control_service.admission
        deaf = replace(known, snapshot=Snapshot(Mirror(replica.ports.register.store, clock=federation.clock)))
        record = (await deaf.place(classroom("atm101"), PlaceOrder("user/ann"))).record.document
        secret = await known.register.read(keys.secret(auth_secret(record)), SealedSecret)
        assert secret is not None
        assert set(secret.document.sealed) == {"iu", "tacc"}


async def test_a_site_that_nobody_can_seal_to_keeps_no_class_waiting() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        register = replica.control_service.admission.register
        agent = await register.read(keys.agent("tacc"), AgentRecord)
        assert agent is not None
        await register.commit(Changes().put(agent.key, agent.document.revise(sealing_key="x")))
        record = (await place(replica)).record.document
        secret = await register.read(keys.secret(auth_secret(record)), SealedSecret)
        assert secret is not None
        assert set(secret.document.sealed) == {"iu"}


async def test_an_agent_whose_key_is_none_is_told_so_at_once() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        request = agent_pb2.HelloRequest(site="tacc", uid="uid-tacc", machine_id="machine", after=1, sealing_key="x")
        with pytest.raises(InvalidRequest, match="sealing key"):
            await replica.agent_service.Hello(request, None)


async def test_now_does_not_wait_for_the_end_of_the_class() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await set_secret(replica, "one")
        await until_set(replica)
        hub = (await place(replica, **meets_now(), **SHARED)).record.document.uid
        await served(replica, hub)
        await set_secret(replica, "two")
        answer = await set_secret(replica, "three", now=True)
        assert "within seconds" in answer.notes[0]
        await until(lambda: value_of(federation, hub) == "three", 30)


async def test_a_class_placed_in_its_meeting_gets_the_value_of_that_time() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await set_secret(replica, "mistyped")
        other = (await place(replica, "other", **meets_now(), **SHARED)).record.document.uid
        await served(replica, other)
        await set_secret(replica, "right")
        hub = (await place(replica, **meets_now(), **SHARED)).record.document.uid
        await served(replica, hub)
        assert (value_of(federation, other), value_of(federation, hub)) == ("mistyped", "right")


async def test_a_generation_that_waits_leaves_the_former_one_its_own_secret() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await set_secret(replica, "one")
        await until_set(replica)
        secrets = replica.control_service.secrets_and_sites
        await secrets.set_secret("other", b"another", (), "user/ann")
        hub = (await place(replica, **meets_now(), **SHARED)).record.document.uid
        await served(replica, hub)
        changed = classroom("atm101", **meets_now(), auth={"type": "dummy", "secret": "other"})
        await replica.control_service.admission.place(changed, PlaceOrder(actor="user/ann", overwrite=True))
        await asyncio.sleep(60)
        assert value_of(federation, hub) == "one"
        with pytest.raises(Refused, match="is used by atm101"):
            await secrets.remove_secret("shared")
        await asyncio.sleep(600)
        assert value_of(federation, hub) == "another"
