"""Planned moves on virtual time: with all that is in it, by whatever is killed on the way, and never two at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from federation.coordinator.admission import PlaceOrder
from federation.coordinator.move_orders import FailoverOrder, MoveOrder
from federation.coordinator.replica import Replica
from federation.model.errors import DriverError, InvalidRequest, Refused
from federation.model.operation import Operation, OperationKind, Step
from tests.simulation.test_homes import class_with_homes, index, notebook, work
from tests.simulation.test_place import served, until
from tests.simulation.test_takeover import armed, owner, protected_class, serves
from tests.support.classrooms import classroom
from tests.support.virtual import VirtualFederation

pytestmark = pytest.mark.looptime

WORK = b"what was written last"


def operation(replica: Replica, hub: str) -> Operation:
    stored = replica.snapshot.operation(hub)
    assert stored is not None
    return stored.document


async def move(replica: Replica, *, to: str = "", now: bool = False, drain_s: float = 0.0) -> None:
    await replica.orders.move("atm101", MoveOrder("user/ann", to=to, now=now, drain_s=drain_s))


async def moved(replica: Replica, hub: str) -> None:
    await until(lambda: operation(replica, hub).kind is OperationKind.MOVE and operation(replica, hub).done)


def working(federation: VirtualFederation, hub: str, user: str = "s01") -> None:
    """A student writes and goes on working."""
    work(federation, hub, WORK)
    federation.sites["iu"].start_server(hub, user)


async def test_a_move_takes_along_what_was_written_last_and_the_old_site_serves_no_more() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await move(replica)
        await moved(replica, hub)
        assert owner(replica, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK
        assert await serves(federation, "tacc", hub)
        assert hub not in federation.sites["iu"].hubs
        steps = [record.step for record in operation(replica, hub).history]
        assert steps == [
            Step.ADMITTED,
            Step.CHECKED,
            Step.DRAINED,
            Step.STOPPED,
            Step.COPIED,
            Step.RELEASED,
            Step.OWNED,
            Step.STARTED,
            Step.VERIFIED,
            Step.NAMED,
            Step.DONE,
        ]
        await until(lambda: armed(replica, "tacc", hub))


async def test_while_it_drains_nobody_new_is_let_in_and_who_works_is_waited_for() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=600)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        with pytest.raises(DriverError, match="This class moves"):
            federation.sites["iu"].start_server(hub, "s02")
        await asyncio.sleep(60)
        assert "s01" in federation.sites["iu"].hubs[hub].servers
        federation.sites["iu"].stop_server(hub, "s01")
        await moved(replica, hub)
        assert notebook(federation, hub, "tacc") == WORK


async def test_after_the_limit_the_servers_of_those_who_work_on_are_stopped_and_nothing_of_theirs_is_lost() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        began = federation.clock.mono()
        await move(replica, drain_s=60)
        await moved(replica, hub)
        assert federation.clock.mono() - began >= 60
        assert notebook(federation, hub, "tacc") == WORK


async def test_a_server_in_which_nobody_does_anything_is_not_waited_for() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        federation.sites["iu"].hubs[hub].idle.add("s01")
        began = federation.clock.mono()
        await move(replica, drain_s=600)
        await moved(replica, hub)
        assert federation.clock.mono() - began < 60


async def test_a_move_there_and_back_brings_the_work_of_both_stays() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await move(replica)
        await moved(replica, hub)
        work(federation, hub, WORK, "tacc")
        await move(replica, to="iu")
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == WORK
        assert hub not in federation.sites["tacc"].hubs


@pytest.mark.parametrize("step", [Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED, Step.OWNED])
async def test_when_the_leader_dies_after_a_step_the_next_one_goes_on(step: Step) -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        await move(replica)
        await until(lambda: step in [record.step for record in operation(other, hub).history])
        await federation.kill(replica.identity.id)
        await moved(other, hub)
        assert owner(other, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK


@pytest.mark.parametrize("step", [Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED])
async def test_when_the_agent_of_the_source_is_killed_after_a_step_the_move_goes_on(step: Step) -> None:
    """It does not know any more what it copied, so it is asked once more before the hub is given up."""
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await move(replica)
        await until(lambda: step in [record.step for record in operation(replica, hub).history])
        await federation.kill("agent-iu")
        federation.start_agent("iu")
        await moved(replica, hub)
        assert owner(replica, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK


@pytest.mark.parametrize("step", [Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED])
async def test_when_the_source_dies_on_the_way_the_class_is_taken_over_as_in_any_outage(step: Step) -> None:
    async with class_with_homes() as (federation, replica, hub):
        await move(replica)
        await until(lambda: step in [record.step for record in operation(replica, hub).history])
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        assert notebook(federation, hub, "tacc") == b"first"


@pytest.mark.parametrize("step", [Step.CHECKED, Step.DRAINED, Step.STOPPED])
async def test_when_the_target_dies_before_it_owns_the_hub_the_class_goes_on_where_it_was(step: Step) -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await move(replica)
        await until(lambda: step in [record.step for record in operation(replica, hub).history])
        await federation.kill_site("tacc")
        await moved(replica, hub)
        await until(lambda: hub in federation.sites["iu"].hubs)
        assert owner(replica, hub) == "iu"
        assert notebook(federation, hub, "iu") == WORK


async def test_a_hub_is_taken_back_from_a_target_that_lives_and_cannot_start_it() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        federation.sites["tacc"].refuse(hub, "no such image")
        await move(replica)
        await until(lambda: "no such image" in operation(replica, hub).waiting_for)
        with pytest.raises(Refused, match="move is under way") as refused:
            await move(replica, to="iu")
        assert "--to SITE --now" in refused.value.help
        await move(replica, to="iu", now=True)
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        assert await serves(federation, "iu", hub)
        assert notebook(federation, hub, "iu") == WORK


async def test_a_target_that_dies_before_it_was_armed_is_replaced_by_a_persons_word_and_nothing_else() -> None:
    """The limit of PROTOCOL.md H15: nobody but a person can know that nothing of the hub runs there."""
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await move(replica)
        await until(lambda: owner(replica, hub) == "tacc")
        await federation.kill_site("tacc")
        asked = FailoverOrder("user/ann", "tacc burns", vouched_site="tacc")
        with pytest.raises(Refused, match=r"tacc renewed its lease \d+ s ago: it lives"):
            await replica.orders.failover("atm101", asked)
        await asyncio.sleep(120)
        assert owner(replica, hub) == "tacc"
        with pytest.raises(InvalidRequest, match="type --vouch tacc"):
            await replica.orders.failover("atm101", replace(asked, vouched_site="iu"))
        await replica.orders.failover("atm101", asked)
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == WORK


async def test_when_the_target_dies_after_it_owns_the_hub_the_source_takes_it_back_with_the_work() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await move(replica)
        await moved(replica, hub)
        await until(lambda: armed(replica, "tacc", hub))
        await federation.kill_site("tacc")
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == WORK


@pytest.mark.parametrize("step", [Step.ADMITTED, Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED])
async def test_a_move_that_is_cancelled_before_its_target_owns_the_hub_leaves_it_serving_where_it_was(
    step: Step,
) -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await move(replica)
        await until(lambda: step in [record.step for record in operation(replica, hub).history])
        try:
            await replica.orders.cancel("atm101", "user/ann")
        except Refused:
            assert owner(replica, hub) == "tacc", "it was too late"
            return
        await moved(replica, hub)
        await served(replica, hub)
        assert await serves(federation, "iu", hub)
        assert owner(replica, hub) == "iu"
        assert notebook(federation, hub, "iu") == WORK


async def test_a_final_copy_that_cannot_be_made_turns_the_move_round() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await move(replica)
        await until(lambda: operation(replica, hub).step is Step.DRAINED)
        federation.copies.refusal = "the store does not answer"
        await moved(replica, hub)
        messages = [record.message for record in operation(replica, hub).history]
        assert any("stays at iu" in message and "the store does not answer" in message for message in messages)
        await until(lambda: hub in federation.sites["iu"].hubs)
        assert owner(replica, hub) == "iu"


async def test_a_loss_that_was_accepted_comes_back_beside_what_the_student_has() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await replica.orders.move("atm101", MoveOrder("user/ann", accept_loss=True, now=True))
        await until(lambda: operation(replica, hub).step is Step.DRAINED)
        federation.copies.refusal = "the store does not answer"
        await until(lambda: operation(replica, hub).step not in (Step.DRAINED, Step.STOPPED))
        federation.copies.refusal = ""
        await moved(replica, hub)
        assert notebook(federation, hub, "tacc") == b"first"
        await until(lambda: any(path.startswith("s01/recovered-iu-") for path in federation.sites["tacc"].files[hub]))
        (path,) = (path for path in federation.sites["tacc"].files[hub] if path.startswith("s01/recovered-iu-"))
        assert federation.sites["tacc"].files[hub][path] == WORK
        assert notebook(federation, hub, "tacc") == b"first", "and nothing else was touched"


async def test_a_workshop_without_homes_moves_without_a_copy() -> None:
    async with protected_class() as (federation, replica, hub):
        await move(replica)
        await moved(replica, hub)
        assert await serves(federation, "tacc", hub)
        assert index(replica, hub) is None


async def test_what_is_on_its_way_is_neither_changed_nor_retired_nor_moved_elsewhere() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=600)
        await until(lambda: operation(replica, hub).step is Step.CHECKED)
        admission = replica.control_service.admission
        changed = classroom("atm101", storage={"type": "none"})
        live = replica.snapshot.classroom("atm101")
        assert live is not None
        with pytest.raises(Refused, match="being moved from iu to tacc"):
            await admission.place(changed, PlaceOrder("user/ann", based_on_revision=live.revision))
        with pytest.raises(Refused, match="being moved from iu to tacc"):
            await admission.retire("atm101", delete_homes=False, actor="user/ann")
        with pytest.raises(Refused, match="move is under way"):
            await move(replica, to="iu")
        await move(replica, now=True)  # hurries the one that is under way
        await moved(replica, hub)
        assert owner(replica, hub) == "tacc"


async def test_an_order_with_more_force_gives_it_to_the_move_that_is_under_way_and_takes_none_away() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=600)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        again = await replica.orders.move("atm101", MoveOrder("user/bob", drain_s=600))
        assert not again.changed
        longer = await replica.orders.move("atm101", MoveOrder("user/bob", drain_s=1200))
        assert not longer.changed
        lossy = await replica.orders.move("atm101", MoveOrder("user/bob", drain_s=600, accept_loss=True))
        assert (lossy.changed, lossy.operation.accept_loss, lossy.operation.now) == (True, True, False)
        began = federation.clock.mono()
        sooner = await replica.orders.move("atm101", MoveOrder("user/bob", drain_s=60))
        assert (sooner.operation.drain_s, sooner.operation.accept_loss) == (60.0, True)
        await moved(replica, hub)
        assert 50 < federation.clock.mono() - began < 120, "who works is waited for all the same"
        assert notebook(federation, hub, "tacc") == WORK


async def test_a_move_whose_final_copy_cannot_be_made_goes_on_when_the_loss_is_accepted_on_the_way() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=600)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        federation.copies.refusal = "the store does not answer"
        federation.sites["iu"].stop_server(hub, "s01")
        await until(lambda: operation(replica, hub).step is Step.STOPPED)
        await replica.orders.move("atm101", MoveOrder("user/ann", drain_s=600, accept_loss=True))
        await until(lambda: "without a final copy, as was accepted" in str(operation(replica, hub).history))
        federation.copies.refusal = ""
        await moved(replica, hub)
        assert owner(replica, hub) == "tacc"


async def test_a_move_that_an_outage_interrupts_can_be_cancelled_and_then_does_not_go_on() -> None:
    async with class_with_homes() as (federation, replica, hub):
        working(federation, hub)
        await move(replica, drain_s=600)
        await until(lambda: "students work" in operation(replica, hub).waiting_for)
        federation.copies.refusal = "the store does not answer"  # so that nothing is taken over
        federation.transport.cut.add("iu")
        await until(lambda: operation(replica, hub).kind is OperationKind.FAILOVER)
        assert (await replica.orders.cancel("atm101", "user/ann")).changed
        federation.transport.cut.clear()
        await until(lambda: operation(replica, hub).kind is OperationKind.MOVE)
        federation.copies.refusal = ""
        await moved(replica, hub)
        assert any(
            "it stays at iu: cancelled by user/ann" in record.message for record in operation(replica, hub).history
        )
        assert await serves(federation, "iu", hub)
        assert not (await replica.orders.cancel("atm101", "user/ann")).changed


async def test_what_was_taken_over_cannot_be_cancelled() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await move(replica, drain_s=600)
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        assert not (await replica.orders.cancel("atm101", "user/ann")).changed


async def test_a_cordoned_site_takes_nothing_until_it_is_opened_again() -> None:
    async with class_with_homes() as (_federation, replica, hub):
        await cordon(replica, "tacc", "storage work", drain=False)
        with pytest.raises(Refused, match="is cordoned: storage work"):
            await move(replica, to="tacc")
        await cordon(replica, "tacc", None)
        await move(replica, to="tacc")
        await moved(replica, hub)
        assert owner(replica, hub) == "tacc"


async def cordon(replica: Replica, site: str, reason: str | None, *, drain: bool = False) -> list[str]:
    _changed, notes = await replica.orders.cordon(site, reason, "user/ann", drain=drain)
    await until(lambda: all((s.cordon is None) is (reason is None) for s in replica.snapshot.sites() if s.name == site))
    return notes


async def test_a_drained_site_is_emptied_and_nothing_comes_back_by_itself() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        federation.sites["iu"].stop_server(hub, "s01")
        assert await cordon(replica, "iu", "new switches", drain=True) == [
            "atm101 moves to tacc, outside its class times"
        ]
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        assert "iu is drained: new switches" in operation(replica, hub).reason
        assert notebook(federation, hub, "tacc") == WORK
        await cordon(replica, "iu", None)
        await asyncio.sleep(600)
        assert owner(replica, hub) == "tacc"


async def test_a_drain_waits_for_students_whose_class_may_move_only_when_idle() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await cordon(replica, "iu", "new switches", drain=True)
        await asyncio.sleep(120)
        assert owner(replica, hub) == "iu", "s01 works"
        federation.sites["iu"].stop_server(hub, "s01")
        await until(lambda: owner(replica, hub) == "tacc")


async def test_after_an_outage_the_class_goes_home_when_that_has_been_well_for_long_enough() -> None:
    async with class_with_homes(failback_s=300.0) as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        work(federation, hub, WORK, "tacc")
        healed = federation.clock.mono()
        for start in (federation.start_fencer, federation.start_agent):
            start("iu")
        await until(lambda: owner(replica, hub) == "iu", 1000)
        assert federation.clock.mono() - healed > 300
        await served(replica, hub)
        assert "back to iu, which has been well for" in operation(replica, hub).reason
        assert notebook(federation, hub, "iu") == WORK


async def test_without_such_a_policy_a_class_stays_where_it_was_taken_over() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        for start in (federation.start_fencer, federation.start_agent):
            start("iu")
        await asyncio.sleep(2000)
        assert owner(replica, hub) == "tacc"
