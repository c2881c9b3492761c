"""What other faults do to planned moves, on virtual time: a blip, a store that refuses, a dead target, a way back."""

from __future__ import annotations

import asyncio

import pytest

from federation.api.v1 import control_pb2
from federation.coordinator.move_orders import FailoverOrder, MoveOrder
from federation.coordinator.replica import Replica
from federation.core import relocation
from federation.model.errors import DriverError, Refused
from federation.model.operation import OperationKind, Step
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_homes import EVERY, class_with_homes, index, notebook, work
from tests.simulation.test_moves import WORK, cordon, move, moved, operation, working
from tests.simulation.test_place import begin, place, served, until
from tests.simulation.test_takeover import armed, owner, serves
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

AT_HALF_PAST_EIGHT = {"once": {"date": "2026-09-01", "at": "08:30", "minutes": 50}, "warm": "5m"}
TERM = {"start": "2026-08-20", "end": "2026-12-20", "timezone": "UTC"}


def restore_due(replica: Replica, hub: str) -> bool:
    stored = replica.snapshot.ownership(hub)
    assert stored is not None
    return stored.document.restore is not None


def earlier(replica: Replica, hub: str) -> tuple[object, ...]:
    stored = replica.snapshot.ownership(hub)
    assert stored is not None
    return stored.document.earlier


async def taken_over(federation: VirtualFederation, replica: Replica, hub: str) -> None:
    await federation.kill_site("iu")
    await until(lambda: owner(replica, hub) == "tacc")


def heal(federation: VirtualFederation, site: str) -> None:
    federation.start_fencer(site)
    federation.start_agent(site)


async def test_a_target_that_is_not_heard_for_a_moment_is_waited_for_while_the_class_still_serves() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=600)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        federation.transport.cut.add("tacc")
        await asyncio.sleep(4)
        federation.transport.cut.clear()
        await asyncio.sleep(60)
        assert operation(replica, hub).step is Step.CHECKED
        assert "s01" in federation.sites["iu"].hubs[hub].servers


async def test_a_drain_that_no_coordinator_leads_any_more_lets_students_in_again_and_the_move_is_over() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=300)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        await federation.kill(replica.identity.id)
        await asyncio.sleep(290)
        with pytest.raises(DriverError, match="This class moves"):
            federation.sites["iu"].start_server(hub, "s02")
        await asyncio.sleep(180)
        federation.sites["iu"].start_server(hub, "s02")
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        await moved(other, hub)
        assert owner(other, hub) == "iu"
        said = [record.message for record in operation(other, hub).history]
        assert any("it stays at iu: no coordinator was there when its drain was over" in message for message in said)
        assert {"s01", "s02"} <= federation.sites["iu"].hubs[hub].servers.keys()


async def test_a_drain_whose_leader_is_replaced_in_time_goes_on() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=300)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        await federation.kill(replica.identity.id)
        await asyncio.sleep(290)
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        await moved(other, hub)
        assert owner(other, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK


async def test_a_move_that_would_end_in_class_time_waits_until_that_is_over() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        placed = await place(replica, storage=EVERY, meetings=[AT_HALF_PAST_EIGHT], term=TERM)
        hub = placed.record.document.uid
        await served(replica, hub)
        await until(lambda: index(replica, hub) is not None and armed(replica, "iu", hub))
        federation.sites["iu"].start_server(hub, "s01")
        await asyncio.sleep(20 * 60 - federation.clock.mono())  # ten minutes before the bell
        await move(replica, drain_s=900)
        await until(lambda: "the class meets" in operation(replica, hub).waiting_for)
        await asyncio.sleep(20 * 60)
        federation.sites["iu"].start_server(hub, "s02")
        assert operation(replica, hub).step is Step.ADMITTED
        assert await serves(federation, "iu", hub)


@pytest.mark.parametrize("save_s", [5, 90])
async def test_an_error_of_an_earlier_copy_says_nothing_of_the_final_one(save_s: float) -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.refusal = "the store does not answer"
        await asyncio.sleep(120)
        work(federation, hub, WORK)
        federation.copies.refusal, federation.copies.save_s = "", save_s
        await replica.orders.move("atm101", MoveOrder("user/ann", accept_loss=True, now=True))
        await moved(replica, hub)
        assert owner(replica, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK


async def test_a_drain_does_not_stop_a_class_again_and_again_whose_final_copy_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.sites["iu"].stop_server(hub, "s01")
        await asyncio.sleep(30)

        async def full(*_args: object, **_options: object) -> None:
            raise DriverError("the store takes nothing: its quota is used up")

        monkeypatch.setattr(federation.agents["iu"].copying.copies, "save", full)
        began = federation.clock.mono()
        await cordon(replica, "iu", "new switches", drain=True)
        await asyncio.sleep(1800)
        stops = [at for at, what, which in federation.sites["iu"].events if (what, which) == ("stop", hub)]
        assert 1 <= len([at for at in stops if at >= began]) <= 3


async def ordered_by_the_drain(federation: VirtualFederation, replica: Replica, hub: str) -> None:
    """A drained site; the move that follows waits for a target that has no room for the copy."""
    federation.sites["iu"].stop_server(hub, "s01")
    await asyncio.sleep(30)
    federation.copies.full.add("tacc")
    await cordon(replica, "iu", "new switches", drain=True)
    await until(lambda: "needs more than is free" in operation(replica, hub).waiting_for)


async def test_a_drain_that_waited_long_stops_no_class_whose_students_have_come_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relocation, "AGAIN_S", 120.0)
    async with class_with_homes() as (federation, replica, hub):
        await ordered_by_the_drain(federation, replica, hub)
        federation.sites["iu"].start_server(hub, "s01")
        await asyncio.sleep(30)
        federation.copies.full.clear()
        await moved(replica, hub)
        said = [record.message for record in operation(replica, hub).history]
        assert "it stays at iu: 1 students' servers run, and placement.movable is idle" in said
        await asyncio.sleep(relocation.AGAIN_S + 60)
        assert owner(replica, hub) == "iu"
        assert "s01" in federation.sites["iu"].hubs[hub].servers
        federation.sites["iu"].stop_server(hub, "s01")
        await until(lambda: owner(replica, hub) == "tacc")


async def test_a_drain_that_is_taken_back_takes_back_the_move_that_waits() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await ordered_by_the_drain(federation, replica, hub)
        await cordon(replica, "iu", None)
        await moved(replica, hub)
        assert any("nothing asks for it any more" in record.message for record in operation(replica, hub).history)
        federation.copies.full.clear()
        await asyncio.sleep(120)
        assert owner(replica, hub) == "iu"


async def test_a_move_that_a_person_has_hurried_is_that_persons() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await ordered_by_the_drain(federation, replica, hub)
        await move(replica, now=True)
        federation.sites["iu"].start_server(hub, "s01")
        await asyncio.sleep(30)
        federation.copies.full.clear()
        await until(lambda: owner(replica, hub) == "tacc")


async def test_a_drain_moves_two_classes_at_a_time_also_when_all_of_them_are_looked_at_at_once() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        small = {"storage": {"type": "none"}, "roster": {"expected": 2, "admins": ["ann"]}}
        hubs = [(await place(replica, f"c{n}", **small)).record.document.uid for n in range(6)]
        for hub in hubs:
            await served(replica, hub)
        here = [hub for hub in hubs if owner(replica, hub) == "iu"]
        assert len(here) > 3
        await asyncio.sleep(30)
        await cordon(replica, "iu", "new switches", drain=True)
        most = 0

        def all_gone() -> bool:
            nonlocal most
            newest = [operation(replica, hub) for hub in here]
            most = max(most, sum(one.kind is OperationKind.MOVE and not one.done for one in newest))
            return all(owner(replica, hub) == "tacc" for hub in here)

        await until(all_gone)
        assert most == 2


async def test_a_home_is_not_brought_back_while_the_class_is_on_its_way() -> None:
    async with class_with_homes() as (_federation, replica, hub):
        homes, stored = replica.control_service.homes, replica.snapshot.classroom("atm101")
        assert stored is not None
        at = homes.list_copies(stored, "s01").items[0].taken
        await move(replica, now=True)
        await until(lambda: operation(replica, hub).step is Step.COPIED)
        with pytest.raises(Refused, match="mov"):
            await homes.restore(stored, control_pb2.RestoreHomeRequest(name="atm101", user="s01", at=at), "user/ann")
        await moved(replica, hub)


async def test_nothing_moves_to_a_site_that_has_not_confirmed_that_it_closed() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.sites["iu"].wedge(hub)  # a process there that nothing ends
        federation.transport.cut.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        work(federation, hub, WORK, "tacc")
        federation.transport.cut.clear()
        await asyncio.sleep(20)
        assert earlier(replica, hub)
        with pytest.raises(Refused, match="has not confirmed"):
            await move(replica, to="iu", now=True)
        assert owner(replica, hub) == "tacc"


async def test_a_hub_that_serves_has_no_restore_due_even_if_a_forced_failover_of_it_was_withdrawn() -> None:
    """Else a move that is cancelled later would put the old copy over what students wrote since."""
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.restore_s = 60
        await taken_over(federation, replica, hub)
        await asyncio.sleep(3)
        await federation.kill("agent-tacc")
        await asyncio.sleep(20)
        await replica.orders.failover("atm101", FailoverOrder("user/ann", "burns", vouched_site="tacc"))
        await asyncio.sleep(5)
        federation.start_agent("tacc")
        await until(lambda: hub in federation.sites["tacc"].hubs, 300)
        heal(federation, "iu")
        await asyncio.sleep(300)
        assert not restore_due(replica, hub)
        federation.copies.restore_s = 0
        work(federation, hub, WORK, "tacc")
        await until(lambda: not earlier(replica, hub))
        await move(replica, to="iu", now=True)
        await until(lambda: operation(replica, hub).step is Step.COPIED)
        await replica.orders.cancel("atm101", "user/ann")
        await moved(replica, hub)
        await served(replica, hub)
        assert owner(replica, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK


async def test_a_class_leaves_a_site_that_cannot_restore_its_homes_with_the_copy_that_was_to_be_restored() -> None:
    """There is nothing of it to copy there, so no final copy is waited for, and none is missing (I3)."""
    async with class_with_homes() as (federation, replica, hub):
        await taken_over(federation, replica, hub)
        federation.copies.full.add("tacc")
        heal(federation, "iu")
        await until(lambda: not earlier(replica, hub))
        assert hub not in federation.sites["tacc"].hubs
        await replica.orders.move("atm101", MoveOrder("user/ann", to="iu", now=True))
        ordered = federation.clock.mono()
        await until(lambda: owner(replica, hub) == "iu")
        assert federation.clock.mono() - ordered < 20, "not after a minute of attempts"
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == b"first"
        messages = [record.message for record in operation(replica, hub).history]
        assert "tacc never restored its homes: the copy on record is all there is" in messages


async def test_a_class_restored_at_an_earlier_epoch_and_ordered_away_before_it_starts_takes_its_work_along() -> None:
    """Its homes are there, newer than the copy that was restored, and marked with the epoch of then."""
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: hub in federation.sites["tacc"].hubs)
        work(federation, hub, b"after the move", "tacc")
        await retire(replica)
        await retired(replica, hub)
        heal(federation, "iu")
        await asyncio.sleep(30)
        federation.transport.cut.add("tacc")  # it hears of nothing before the move has come to its final copy
        await replica.control_service.admission.restore("atm101", actor="user/ann")
        await until(lambda: owner(replica, hub) == "tacc")
        await replica.orders.move("atm101", MoveOrder("user/ann", to="iu", now=True))
        await until(lambda: operation(replica, hub).step is Step.STOPPED, 10)
        federation.transport.cut.discard("tacc")
        await until(lambda: owner(replica, hub) == "iu", 30)
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == b"after the move"
