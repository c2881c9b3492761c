"""The register is lost under a federation that lives: nothing is stopped, nothing is opened twice, and after a recovery
everything serves in a new era (DESIGN.md 4.7, PROTOCOL.md H6)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from agents.link import read_answer
from federation.api.v1 import agent_pb2
from federation.coordinator.admission import PlaceOrder
from federation.coordinator.move_orders import FailoverOrder
from federation.coordinator.replica import Replica
from federation.model.errors import Conflict, InvalidRequest, Refused, RegisterFault, Unavailable
from federation.model.identity import Epoch, RegisterId
from federation.model.profile import PROFILES, ProfileName
from federation.model.status import HubPhase
from federation.store import keys
from federation.store.register import encode
from tests.simulation.test_place import begin, observed_phase, place, served, until
from tests.simulation.test_takeover import armed
from tests.support.classrooms import classroom
from tests.support.lost_register import DyingStore, Onlooker, ask, backup, began_anew, put_in_place, recovered
from tests.support.virtual import UUID, VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

FIRST = Epoch(era=2, n=1)
LAB = PROFILES[ProfileName.LAB]
WRITES = 6  # of a recovery of two sites and a hub: era, end of reports, hub, two sites, done


@dataclass(slots=True)
class Lived:
    """A federation that has been at work for a while, with an armed class at iu."""

    federation: VirtualFederation
    replica: Replica
    hub: str
    onlooker: Onlooker

    def other(self) -> Replica:
        return self.federation.transport.replicas["c2"]

    async def lose(self, kind: str) -> None:
        """Put something else in the register's place, and wait until all coordinators know."""
        found = await backup(self.federation)
        if kind == "another":
            stranger = encode(RegisterId(uuid="99999999-2222-3333-4444-555555555555"))
            found = tuple(replace(e, value=stranger) if e.key == keys.REGISTER_ID else e for e in found)
        await put_in_place(self.federation, () if kind == "empty" else found)
        replicas = self.federation.transport.replicas.values()
        await until(lambda: all(replica.ports.register.fault for replica in replicas))
        await asyncio.sleep(30)

    async def begin_anew(self) -> None:
        self.replica = await began_anew(self.federation, "c1", "c2")
        await until(lambda: observed_phase(self.replica, self.hub) is HubPhase.SERVING)

    async def serves_in_the_new_era(self, site: str = "iu") -> None:
        """All of it, and nothing was started again for it."""
        await self.begin_anew()
        owned = self.replica.snapshot.owned(site, self.hub)
        assert owned is not None
        assert owned.epoch == FIRST
        await asyncio.sleep(30)
        assert self.onlooker.twice == []
        assert self.starts(site) == 1
        named = await self.federation.names.read("atm101.localhost")
        assert named is not None
        assert (named.epoch, named.target) == (FIRST, f"{site}.memory:80")

    def starts(self, site: str) -> int:
        return sum(what == "start" and hub == self.hub for _at, what, hub in self.federation.sites[site].events)


@asynccontextmanager
async def lived() -> AsyncIterator[Lived]:
    async with virtual_federation() as federation:
        replica = await begin(federation, "c1", "c2")
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(replica)).record.document.uid
        await served(replica, hub)
        await until(lambda: armed(replica, "iu", hub))
        await asyncio.sleep(15)
        onlooker = Onlooker(federation, hub)
        looking = asyncio.get_running_loop().create_task(onlooker.run())
        try:
            yield Lived(federation, replica, hub, onlooker)
        finally:
            looking.cancel()


@pytest.mark.parametrize("kind", ["older", "empty", "another"])
async def test_a_register_that_was_lost_stops_nothing_and_is_made_anew(kind: str) -> None:
    async with lived() as life:
        await life.lose(kind)
        await asyncio.sleep(120)
        assert not any(replica.standing.leads for replica in life.federation.transport.replicas.values())
        state = await life.replica.recovering.state()
        assert [(site.site, site.reported) for site in state.sites] == [("iu", True), ("tacc", True)]
        assert [(each.hub, each.owner, each.known) for each in state.hubs] == [(life.hub, "iu", kind != "empty")]
        await recovered(life.replica, replace=state.found.uuid if kind == "another" else "")
        await life.serves_in_the_new_era()
        assert life.onlooker.closed == [], "not for a moment"
        if kind == "empty":
            stored = life.replica.snapshot.classroom("atm101")
            assert stored is not None
            assert stored.document.classroom.spec.roster.expected == 10
        await until(lambda: armed(life.replica, "iu", life.hub))


async def test_a_register_of_another_federation_is_not_taken_over_by_mistake() -> None:
    async with lived() as life:
        await life.lose("another")
        with pytest.raises(Refused, match="is register 99999999"):
            await ask(life.replica)


async def test_while_the_register_is_at_fault_it_is_read_and_nothing_is_written() -> None:
    async with lived() as life:
        await life.lose("older")
        before = await backup(life.federation)
        assert life.replica.standing.freshness().stale
        assert life.replica.snapshot.find("atm101") is not None, "what is known last is still shown"
        with pytest.raises(RegisterFault):
            await place(life.replica, "phy202")
        await asyncio.sleep(60)
        assert await backup(life.federation) == before
        status = await life.replica.standing.status()
        assert "revision" in status.register_fault


async def test_a_recovery_needs_the_name_of_the_federation_and_a_fault() -> None:
    async with lived() as life:
        with pytest.raises(Refused, match="nothing to recover"):
            await ask(life.replica)
        await life.lose("empty")
        with pytest.raises(InvalidRequest, match="virtual"):
            await ask(life.replica, confirm_federation="another")


@pytest.mark.parametrize("writes", range(WRITES))
async def test_a_coordinator_killed_after_any_write_leaves_a_recovery_that_another_ends(writes: int) -> None:
    async with lived() as life:
        await life.lose("empty" if writes % 2 else "older")
        register = life.replica.ports.register
        register.store = DyingStore(register.store, writes)
        with pytest.raises(Unavailable, match="killed"):
            await recovered(life.replica)
        await life.federation.kill("c1")
        await recovered(life.other())
        await life.serves_in_the_new_era()


async def test_of_two_persons_who_begin_at_once_one_begins() -> None:
    async with lived() as life:
        await life.lose("empty")
        answers = await asyncio.gather(ask(life.replica), ask(life.other()), return_exceptions=True)
        assert all(not isinstance(answer, BaseException) or isinstance(answer, Conflict) for answer in answers)
        await recovered(life.other())
        await life.serves_in_the_new_era()


async def test_a_class_that_moved_after_the_backup_stays_where_it_serves() -> None:
    async with lived() as life:
        old = await backup(life.federation)
        await life.federation.kill_site("iu")
        life.onlooker.closed.clear()
        await until(lambda: life.replica.snapshot.owned("tacc", life.hub) is not None)
        await served(life.replica, life.hub)
        life.federation.start_agent("iu")
        life.federation.start_fencer("iu")
        await asyncio.sleep(30)
        life.onlooker.closed.clear()
        await put_in_place(life.federation, old)
        await until(lambda: bool(life.replica.ports.register.fault))
        await asyncio.sleep(30)
        await recovered(life.replica)
        await life.serves_in_the_new_era("tacc")
        await until(lambda: life.replica.snapshot.closing("iu", life.hub) is None)


async def test_a_change_of_a_class_that_the_backup_does_not_have_is_not_lost() -> None:
    """It was acknowledged, and its site runs it (I4)."""
    async with lived() as life:
        old = await backup(life.federation)
        later = classroom("atm101", roster={"expected": 12, "admins": ["ann"], "users": ["s01"]})
        order = PlaceOrder(actor="user/ann", overwrite=True)
        await life.replica.control_service.admission.place(later, order)
        await until(lambda: life.federation.sites["iu"].hubs[life.hub].order.generation == 2)
        await asyncio.sleep(10)
        await put_in_place(life.federation, old)
        await until(lambda: bool(life.replica.ports.register.fault))
        await asyncio.sleep(5)
        await recovered(life.replica)
        await life.serves_in_the_new_era()
        stored = life.replica.snapshot.classroom("atm101")
        assert stored is not None
        assert (stored.document.generation, stored.document.classroom.spec.roster.expected) == (2, 12)
        assert life.federation.sites["iu"].hubs[life.hub].order.generation == 2


async def test_a_site_that_cannot_report_is_left_out_by_a_person_after_its_lease() -> None:
    async with lived() as life:
        await life.lose("older")
        life.federation.transport.cut.add("tacc")
        began = life.federation.clock.mono()
        with pytest.raises(TimeoutError):
            await recovered(life.replica, 60.0)
        assert "tacc has not reported" in (await ask(life.replica)).waiting_for
        life.replica = await began_anew(life.federation, "c1", "c2")  # who counts anew
        counted = life.federation.clock.mono()
        await recovered(life.replica, without=["tacc"])
        assert life.federation.clock.mono() - counted >= LAB.takeover_s
        assert life.federation.clock.mono() - began > 60
        await life.begin_anew()
        assert life.onlooker.twice == []
        life.federation.transport.cut.clear()
        await until(lambda: armed(life.replica, "iu", life.hub))


async def test_classes_of_a_site_that_is_left_out_stay_its_own_until_a_person_vouches_that_it_is_dead() -> None:
    async with lived() as life:
        await life.lose("older")
        await life.federation.kill_site("iu")
        state = await ask(life.replica, without=["iu"])
        assert state.step == "collecting"
        await recovered(life.replica, without=["iu"])
        life.replica = await began_anew(life.federation, "c1", "c2")
        await life.replica.mirror.synced()
        owned = life.replica.snapshot.owned("iu", life.hub)
        assert owned is not None
        assert not owned.may_be_taken_over, "it is standing: nothing moves it by itself"
        await asyncio.sleep(60)
        assert life.starts("tacc") == 0
        asked = FailoverOrder("user/ann", "iu burns", vouched_site="iu")
        await life.replica.orders.failover("atm101", asked)
        await until(lambda: life.replica.snapshot.owned("tacc", life.hub) is not None)
        await served(life.replica, life.hub)
        moved = life.replica.snapshot.owned("tacc", life.hub)
        assert moved is not None
        assert moved.epoch == Epoch(era=2, n=2)
        assert life.onlooker.twice == []


@pytest.mark.parametrize("kind", ["older", "another"])
async def test_a_site_that_reported_and_died_before_it_renewed_is_left_by_a_persons_word(kind: str) -> None:
    async with lived() as life:
        await life.lose(kind)
        state = await life.replica.recovering.state()
        await recovered(life.replica, replace=state.found.uuid if kind == "another" else "")
        await life.federation.kill_site("iu")
        life.replica = await began_anew(life.federation, "c1", "c2")
        await life.replica.mirror.synced()
        asked = FailoverOrder("user/ann", "iu burns", vouched_site="iu")
        await asyncio.sleep(1)
        with pytest.raises(Unavailable, match="has not watched iu"):
            await life.replica.orders.failover("atm101", asked)
        await asyncio.sleep(LAB.takeover_s + 30)
        assert life.starts("tacc") == 0, "it is standing: nothing moves it by itself"
        await life.replica.orders.failover("atm101", asked)
        await until(lambda: life.replica.snapshot.owned("tacc", life.hub) is not None)
        await served(life.replica, life.hub)
        assert life.onlooker.twice == []


async def test_coordinators_that_are_restarted_meanwhile_know_what_they_saw_and_who_may_recover() -> None:
    async with lived() as life:
        await life.lose("empty")
        life.replica = await began_anew(life.federation, "c1", "c2")
        assert "is empty" in life.replica.ports.register.fault
        assert life.replica.roles_of("ann") == ("admin",), "of the federation file: the register names nobody"
        await until(lambda: len(life.replica.recovering.heard) == 2)
        await recovered(life.replica)
        await life.serves_in_the_new_era()
        assert life.replica.roles_of("ann") == ("admin",)
        assert life.replica.roles_of("eve") == ()


async def test_an_agent_that_is_restarted_in_a_recovery_reports_all_the_same() -> None:
    async with lived() as life:
        await life.lose("empty")
        await life.federation.kill("agent-tacc")
        life.federation.start_agent("tacc")
        await asyncio.sleep(30)
        await recovered(life.replica)
        await life.serves_in_the_new_era()


async def test_an_answer_of_the_past_is_void_once_a_site_has_reported() -> None:
    """What was under way when the register was lost could else open a hub that the report does not name (H6.3)."""
    async with lived() as life:
        await life.lose("older")
        await ask(life.replica)
        await asyncio.sleep(5)
        lease = life.federation.agents["tacc"].lease
        late = agent_pb2.RenewResponse(revision=10_000, seq=lease.next_seq(), granted=True)
        late.register.uuid, late.register.era = UUID, 1
        late.grants.add(hub="bio303-abcdef", mode="standing").epoch.era = 1
        lease.process(read_answer(late), (0, ()))
        assert "bio303-abcdef" not in lease.held
        assert "era 1" in lease.problems[0]


async def test_a_report_of_before_the_new_era_does_not_count() -> None:
    async with lived() as life:
        await life.lose("older")
        life.federation.transport.deaf.add("tacc")  # it is heard, and does not hear of the new era
        with pytest.raises(TimeoutError):
            await recovered(life.replica, 30.0)
        assert "tacc has not reported" in (await ask(life.replica)).waiting_for
