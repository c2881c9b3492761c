"""The leader's Naming on a real zone: place, takeover, a stale leader, drift, a name server that is down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from federation.api.v1 import control_pb2
from federation.coordinator.naming import Naming
from federation.coordinator.observations import Observations
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import spec_message
from federation.dns.few_wait import FewWait
from federation.dns.name_server import NameServer
from federation.dns.rfc2136 import ZoneNames
from federation.dns.zone_records import change, mark_of
from federation.model.errors import Conflict, InvalidRequest
from federation.model.identity import Epoch
from federation.model.ownership import Ownership
from federation.model.placing import ClassroomRecord, HostClaim
from federation.model.status import Condition, ConditionType, SiteRecord, Truth
from federation.runtime.clock import SystemClock
from federation.runtime.supervisor import Supervisor
from federation.store import keys
from federation.store.memory import MemoryStore
from federation.store.mirror import Mirror
from federation.store.register import Changes, Register
from tests.simulation.test_place import begin, place, served, until
from tests.support.bind import ZONE, Bind, NameServers, bind
from tests.support.classrooms import classroom
from tests.support.memory_transport import MemoryTransport
from tests.support.virtual import UUID, VirtualFederation

HUB, LATER = "atm101-aaaaaa", "chem5-bbbbbb"
HOST, ALIAS = f"atm101.{ZONE}", f"weather.{ZONE}"
EDGES = {"iu": "192.0.2.10:80", "tacc": "198.51.100.10:80"}
NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


@dataclass
class Coordinators:
    """One register, one zone, and as many coordinators as a test asks for; each may stop hearing of changes."""

    register: Register
    store: MemoryStore
    servers: NameServers
    tasks: Supervisor

    async def coordinator(self, *outside: Bind, hears: bool = True) -> Naming:
        mirror = Mirror(self.store, clock=SystemClock())
        running = self.tasks.start("mirror", mirror.run())
        await mirror.synced()
        if not hears:
            running.cancel()
        resolvers = tuple(NameServer(one.address) for one in outside or (self.servers.primary,))
        zone = ZoneNames(ZONE, self.servers.primary.server(), resolvers, most_ttl_s=30, edge_port=80)
        return Naming(self.register, FewWait(zone), Snapshot(mirror), Observations(SystemClock()), SystemClock())

    @staticmethod
    def record(name: str, hub: str) -> ClassroomRecord:
        """A class with the names of the only class here."""
        spec = classroom(name, dns={"host": HOST, "aliases": [ALIAS], "ttl": 60})
        return ClassroomRecord(uid=hub, generation=1, classroom=spec, created=NOW, changed=NOW, actor="user/ada")

    async def owned_by(self, site: str | None, epoch: Epoch) -> None:
        """What a place or a takeover writes."""
        changes = Changes().put(keys.ownership(HUB), Ownership(hub=HUB, owner=site, epoch=epoch))
        await self.register.commit(changes)


@pytest.fixture
def servers() -> Iterator[NameServers]:
    with bind() as made:
        yield made


@asynccontextmanager
async def federation(servers: NameServers) -> AsyncIterator[Coordinators]:
    """Sites iu and tacc have edges, the class is placed at iu."""
    store = MemoryStore(SystemClock())
    register = await Register.open(store, UUID)
    changes = Changes()
    for site, address in EDGES.items():
        changes.put(keys.site(site), SiteRecord(name=site, kind="local", uid=f"uid-{site}", edge_address=address))
    changes.put(keys.classroom("atm101"), Coordinators.record("atm101", HUB))
    await register.commit(changes)
    async with Supervisor("naming") as tasks:
        made = Coordinators(register, store, servers, tasks)
        await made.owned_by("iu", Epoch(era=1, n=1))
        yield made


async def test_a_takeover_takes_the_names_along_and_a_stale_leader_is_refused(servers: NameServers) -> None:
    async with federation(servers) as made:
        stale = await made.coordinator(hears=False)
        assert (await stale.converge(HUB)).leads_here
        zone = stale.driver.driver  # type: ignore[attr-defined]
        as_read = await zone.found(HOST)
        still_written = as_read.record(80)

        await made.owned_by("tacc", Epoch(era=1, n=2))
        leader = await made.coordinator()
        seen = await leader.converge(HUB)
        assert seen.leads_here
        assert seen.sight == f"{HOST}, {ALIAS} -> {EDGES['tacc']} at epoch 1.2, seen by {servers.primary.address}"

        with pytest.raises(Conflict):  # it stood still between its look and its write
            await zone.server.send(change(ZONE, as_read, still_written, 80))
        refused = await stale.converge(HUB)  # it goes on with what it knew
        assert not refused.leads_here
        assert "at epoch 1.2, above the register's 1.1: nothing is written" in refused.problem
        for host in (HOST, ALIAS):
            assert servers.primary.values(host, "A") == ["198.51.100.10"]
            assert servers.primary.values(mark_of(host), "TXT") == [f'"hubfed=1 hub={HUB} epoch=1.2"']


async def test_a_stale_leader_takes_no_name_from_the_class_that_has_it_now(servers: NameServers) -> None:
    """It was frozen before it read the name, so that its update would fit what is there; epochs of two classes say
    nothing of each other."""
    async with federation(servers) as made:
        stale = await made.coordinator(hears=False)
        await made.owned_by(None, Epoch(era=1, n=2))
        later = made.record("chem5", LATER)
        changes = Changes().put(keys.classroom("chem5"), later).delete(keys.classroom("atm101"))
        changes.put(keys.ownership(LATER), Ownership(hub=LATER, owner="tacc", epoch=Epoch(era=1, n=1)))
        for host in (HOST, ALIAS):
            changes.put(keys.host(host), HostClaim(hub=LATER, name="chem5"))
        await made.register.commit(changes)
        assert (await (await made.coordinator()).converge(LATER)).leads_here
        refused = await stale.converge(HUB)
        assert not refused.leads_here
        assert f"belongs to {LATER} by now" in refused.problem
        for host in (HOST, ALIAS):
            assert servers.primary.values(host, "A") == ["198.51.100.10"]


async def test_a_class_that_was_given_a_host_name_takes_it_from_the_one_that_had_it(servers: NameServers) -> None:
    async with federation(servers) as made:
        await (await made.coordinator()).converge(HUB)
        changes = Changes().put(keys.classroom("chem5"), made.record("chem5", LATER))
        changes.put(keys.ownership(LATER), Ownership(hub=LATER, owner="tacc", epoch=Epoch(era=1, n=1)))
        for host in (HOST, ALIAS):
            changes.put(keys.host(host), HostClaim(hub=LATER, name="chem5"))
        await made.register.commit(changes)
        assert (await (await made.coordinator()).converge(LATER)).leads_here
        assert servers.primary.values(HOST, "A") == ["198.51.100.10"]


async def test_a_stale_leader_that_retired_the_class_does_not_take_the_name_of_the_restored_one(
    servers: NameServers,
) -> None:
    async with federation(servers) as made:
        await made.owned_by(None, Epoch(era=1, n=2))
        stale = await made.coordinator(hears=False)
        await made.owned_by("tacc", Epoch(era=1, n=3))
        await (await made.coordinator()).converge(HUB)
        assert "at epoch 1.3, above the register's 1.2" in await stale.remove(HUB)
        assert servers.primary.values(HOST, "A") == ["198.51.100.10"]


async def test_drift_of_any_kind_is_repaired(servers: NameServers) -> None:
    async with federation(servers) as made:
        leader = await made.coordinator()
        await leader.converge(HUB)
        edits: tuple[tuple[tuple[str, ...], ...], ...] = (
            (("delete", HOST, "A"), ("add", HOST, "A", "203.0.113.9")),
            (("add", HOST, "AAAA", "2001:db8::9"),),
            (("delete", HOST, "A"),),
            (("delete", HOST), ("delete", mark_of(HOST))),
            (("delete", ALIAS, "A"), ("add", ALIAS, "CNAME", "elsewhere.example.edu.")),
        )
        for edit in edits:
            servers.primary.edit(*edit)
            assert (await leader.converge(HUB)).leads_here, edit
            for host in (HOST, ALIAS):
                assert (servers.primary.values(host, "A"), servers.primary.values(host, "AAAA")) == (["192.0.2.10"], [])


async def test_the_shorter_of_both_lifetimes_is_written(servers: NameServers) -> None:
    async with federation(servers) as made:
        await (await made.coordinator()).converge(HUB)
        assert servers.primary.ttl(HOST, "A") == 30


async def test_one_name_that_is_taken_does_not_keep_the_other_from_its_class(servers: NameServers) -> None:
    async with federation(servers) as made:
        servers.primary.edit(("add", HOST, "A", "203.0.113.9"))
        seen = await (await made.coordinator()).converge(HUB)
        assert not seen.leads_here
        assert f"{HOST} is somebody else's in the zone (A 203.0.113.9): not overwritten" in seen.problem
        assert servers.primary.values(ALIAS, "A") == ["192.0.2.10"]


async def test_a_name_that_leads_there_is_right_while_the_server_is_down_and_that_is_said(servers: NameServers) -> None:
    async with federation(servers) as made:
        secondary = servers.secondary()
        leader = await made.coordinator(secondary)
        assert not (await leader.converge(HUB)).leads_here
        secondary.notified()
        secondary.wait_until(lambda: secondary.serial() == servers.primary.serial(), "it heard of the change")
        servers.primary.kill()
        seen = await leader.converge(HUB)
        assert seen.leads_here
        assert "does not answer" in seen.unwritable
        secondary.kill()
        blind = await leader.converge(HUB)
        assert (blind.leads_here, blind.looked) == (False, False)
        servers.primary.start()
        secondary.start()
        healed = await leader.converge(HUB)
        assert (healed.leads_here, healed.unwritable) == (True, "")


async def test_a_place_ends_when_the_resolvers_see_the_name(servers: NameServers) -> None:
    """A whole coordinator and agents; what is between a class and its students here is the zone."""
    clock, resolver = SystemClock(), NameServer(servers.primary.address)
    zone: Any = FewWait(ZoneNames(ZONE, servers.primary.server(), (resolver,), most_ttl_s=30, edge_port=80))
    federation = VirtualFederation(clock, Random(1), MemoryStore(clock), MemoryTransport(), zone)
    try:
        replica = await begin(federation)
        asked = control_pb2.Classroom(name="met202", spec=spec_message(classroom(dns={"host": "met202.localhost"})))
        with pytest.raises(InvalidRequest, match=f"not below {ZONE}"):
            replica.control_service.checking.read(asked)
        hub = (await place(replica, dns={"host": HOST})).record.document.uid
        await served(replica, hub)
        assert servers.primary.values(HOST, "CNAME") == ["iu.memory."]

        def said() -> Condition | None:
            stored = replica.snapshot.observation(hub)
            found = stored.document.conditions if stored is not None else ()
            return next((c for c in found if c.type is ConditionType.NAME_CONVERGED and c.status is Truth.TRUE), None)

        await until(lambda: said() is not None, 10)
        condition = said()
        assert condition is not None
        assert condition.message == f"{HOST} -> iu.memory:80 at epoch 1.1, seen by {servers.primary.address}"
    finally:
        await federation.close()


async def test_a_retired_class_leaves_nothing_of_ours_in_the_zone(servers: NameServers) -> None:
    async with federation(servers) as made:
        leader = await made.coordinator()
        await leader.converge(HUB)
        assert await leader.remove(HUB) == ""
        for host in (HOST, ALIAS):
            assert servers.primary.values(host, "A") == servers.primary.values(mark_of(host), "TXT") == []
