"""Drills on virtual time: there and back with everything, numbers kept, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from federation.api.v1 import control_pb2
from federation.coordinator.drill_orders import DrillOrder
from federation.coordinator.pausing import set_pause
from federation.coordinator.replica import Replica
from federation.core import drilling
from federation.model.drill import MOST_KEPT, Drill, Drills, Outcome
from federation.model.errors import InvalidRequest, Refused
from federation.model.operation import Operation, Step
from federation.model.placing import Event
from federation.model.profile import PROFILES, ProfileName
from federation.store import keys
from federation.store.interface import Committed
from federation.store.register import Changes
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_homes import class_with_homes, notebook, work
from tests.simulation.test_place import served, until
from tests.simulation.test_takeover import armed, owner, protected_class, serves
from tests.support.virtual import START

pytestmark = pytest.mark.looptime

LAB = PROFILES[ProfileName.LAB]
WORK = b"what was written last"
NOON = START + timedelta(hours=4)
WAY_THERE = [Step.ADMITTED, Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED, Step.OWNED]
WAY_THERE += [Step.STARTED, Step.VERIFIED, Step.NAMED]
LESSON = [{"once": {"date": "2026-09-01", "at": "03:30", "minutes": 60}}]  # 08:30 UTC, half an hour from now


async def order(replica: Replica, **asked: object) -> Drill:
    _hub, drill, changed = await replica.control_service.drill_orders.order(
        "atm101",
        DrillOrder("user/ann", **asked),  # type: ignore[arg-type]
    )
    assert changed
    return drill


def kept(replica: Replica, hub: str) -> Drills:
    stored = replica.snapshot.get(keys.drill(hub), Drills)
    return stored.document if stored is not None else Drills(hub=hub)


def operation(replica: Replica, hub: str) -> Operation:
    stored = replica.snapshot.operation(hub)
    assert stored is not None
    return stored.document


async def over(replica: Replica, hub: str, limit_s: float = 300.0) -> Drill:
    """The record of the drill that is under way, when it is over."""
    await until(lambda: kept(replica, hub).running is None and bool(kept(replica, hub).history), limit_s)
    return kept(replica, hub).history[-1]


def reached(replica: Replica, hub: str, target: str, step: Step) -> bool:
    now = operation(replica, hub)
    return bool(now.drill) and now.target == target and step in [record.step for record in now.history]


def stands_still_after(replica: Replica, hub: str, target: str, step: Step) -> asyncio.Event:
    """From the commit of this step on the replica commits nothing more; on virtual time one step follows another at
    once, so nobody who only looks could come between them."""
    happened, commit = asyncio.Event(), replica.ports.register.commit

    async def stopping(changes: Changes) -> Committed:
        if happened.is_set():
            await asyncio.sleep(1e6)
        committed = await commit(changes)
        for put in changes.puts:
            if put.key == keys.operation(hub):
                written = json.loads(put.value)
                if written["drill"] and (written["target"], written["step"]) == (target, step.value):
                    happened.set()
                    await asyncio.sleep(1e6)
        return committed

    replica.ports.register.commit = stopping  # type: ignore[method-assign]
    return happened


def events(replica: Replica) -> list[str]:
    found = sorted(replica.snapshot.under(keys.EVENTS, Event), key=lambda stored: stored.key)
    return [s.document.type for s in found if s.document.type.startswith("drill.")]


async def test_a_drill_moves_the_class_there_and_back_and_says_what_an_outage_would_have_cost() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await order(replica)
        drill = await over(replica, hub)
        assert (drill.outcome, drill.source, drill.target) == (Outcome.PASSED, "iu", "tacc")
        assert owner(replica, hub) == "iu"
        assert await serves(federation, "iu", hub)
        assert hub not in federation.sites["tacc"].hubs
        assert notebook(federation, hub, "iu") == WORK
        assert [record.step for record in drill.there] == [*WAY_THERE, Step.DONE] == [r.step for r in drill.back]
        said = events(replica)  # what happened within one millisecond has no order
        assert {*said[:2]} == {"drill.ordered", "drill.begun"}
        assert said[2:] == ["drill.returning", "drill.passed"]
        costs = drill.costs
        assert costs is not None
        assert costs.rto_s is not None
        assert costs.serve_s is not None
        assert costs.rto_s == LAB.takeover_s + costs.serve_s
        assert costs.serve_s > 0
        assert costs.rpo_s is not None
        assert 0 <= costs.rpo_s < 120, "the class is copied every minute"
        assert costs.away_s is not None
        assert costs.away_s >= costs.serve_s
        assert costs.away_back_s is not None


async def test_work_of_the_minutes_at_the_standby_comes_back_too() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await order(replica)
        await until(lambda: reached(replica, hub, "tacc", Step.OWNED))
        await until(lambda: hub in federation.sites["tacc"].hubs)
        work(federation, hub, WORK, "tacc")
        assert (await over(replica, hub)).outcome is Outcome.PASSED
        assert notebook(federation, hub, "iu") == WORK


@pytest.mark.parametrize("target", ["tacc", "iu"])
@pytest.mark.parametrize("step", [*WAY_THERE, Step.DONE])
async def test_when_the_leader_dies_after_a_step_of_either_way_the_next_one_goes_on(step: Step, target: str) -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        happened = stands_still_after(replica, hub, target, step)
        await order(replica)
        await asyncio.wait_for(happened.wait(), 300)
        await federation.kill(replica.identity.id)
        drill = await over(other, hub)
        assert drill.outcome is Outcome.PASSED
        assert [record.step for record in (*drill.there, *drill.back)] == [*WAY_THERE, Step.DONE] * 2
        assert owner(other, hub) == "iu"
        assert notebook(federation, hub, "iu") == WORK


async def test_an_order_for_later_is_durable_and_begins_at_its_time_under_another_leader() -> None:
    async with class_with_homes() as (federation, replica, hub):
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        await order(replica, at=START + timedelta(minutes=5))
        await asyncio.sleep(100)
        assert kept(replica, hub).running is not None
        assert owner(replica, hub) == "iu"
        await federation.kill(replica.identity.id)
        drill = await over(other, hub)
        assert drill.outcome is Outcome.PASSED
        assert drill.began is not None
        assert timedelta() <= drill.began - drill.at < timedelta(seconds=30)


async def test_the_same_order_once_more_changes_nothing_and_another_one_is_refused_until_it_is_cancelled() -> None:
    async with class_with_homes() as (_federation, replica, hub):
        orders = replica.control_service.drill_orders
        drill = await order(replica, at=NOON)
        assert (await orders.order("atm101", DrillOrder("user/ann", at=NOON)))[1:] == (drill, False)
        with pytest.raises(Refused, match="a drill is ordered for 2026-09-01 12:00 UTC"):
            await order(replica)
        assert (await orders.cancel("atm101", "user/bob"))[2]
        await until(lambda: bool(kept(replica, hub).history))
        (record,) = kept(replica, hub).history
        assert (record.outcome, record.reason, record.costs) == (Outcome.CANCELLED, "cancelled by user/bob", None)
        assert not (await orders.cancel("atm101", "user/bob"))[2]
        await order(replica)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"at": START - timedelta(hours=1)}, "is over"),
        ({"at": START + timedelta(days=365)}, "too far ahead"),
        ({"drain_s": -1.0}, "students can be waited for"),
    ],
)
async def test_an_order_that_means_nothing_is_refused(asked: dict[str, object], said: str) -> None:
    async with protected_class() as (_federation, replica, _hub):
        with pytest.raises(InvalidRequest, match=said):
            await order(replica, **asked)


async def test_nothing_is_rehearsed_in_a_meeting_or_shortly_before_one_unless_now() -> None:
    async with protected_class(meetings=LESSON) as (_federation, replica, hub):
        with pytest.raises(Refused, match="the class meets from 2026-09-01 08:30 to 09:30 UTC, which is too soon"):
            await order(replica)
        with pytest.raises(Refused, match="the class meets from 2026-09-01 08:30 to 09:30 UTC"):
            await order(replica, at=START + timedelta(minutes=45))
        await order(replica, now=True)
        assert (await over(replica, hub)).outcome is Outcome.PASSED


async def test_a_class_that_is_not_armed_is_refused_with_the_reasons_or_rehearsed_anyway_and_it_is_said() -> None:
    async with class_with_homes() as (_federation, replica, hub):
        await set_pause(replica.control_service.admission, paused=True, reason="storage work", actor="user/ann")
        await until(lambda: not armed(replica, "iu", hub))
        with pytest.raises(Refused, match=r"not armed, so nothing would take it over: .*storage work"):
            await order(replica)
        await order(replica, anyway=True)
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.PASSED
        assert "storage work" in drill.unarmed[0]


async def test_a_drill_of_a_class_that_was_retired_meanwhile_is_given_up() -> None:
    async with protected_class() as (_federation, replica, hub):
        await order(replica, at=NOON)
        await retire(replica)
        await retired(replica, hub)
        drill = await over(replica, hub)
        assert (drill.outcome, drill.reason) == (Outcome.GIVEN_UP, "the class was retired")


@pytest.mark.parametrize("step", [Step.CHECKED, Step.DRAINED, Step.STOPPED])
async def test_when_the_standby_dies_on_the_way_the_class_stays_and_the_drill_has_failed(step: Step) -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await order(replica)
        await until(lambda: reached(replica, hub, "tacc", step))
        await federation.kill_site("tacc")
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.FAILED
        assert drill.reason.startswith("on the way there: it stays at iu: tacc:")
        assert owner(replica, hub) == "iu"
        await until(lambda: hub in federation.sites["iu"].hubs)
        assert notebook(federation, hub, "iu") == WORK
        assert drill.costs is not None
        assert drill.costs.rto_s is None


async def test_when_its_own_site_dies_on_the_way_that_is_an_outage_and_on_record_as_one() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await order(replica)
        await until(lambda: reached(replica, hub, "tacc", Step.CHECKED))
        await federation.kill_site("iu")
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.FAILED
        assert "iu fell silent on the way and the class was taken over: it is at tacc" in drill.reason
        assert [record.step for record in drill.there][-1] is Step.CHECKED
        await served(replica, hub)
        assert owner(replica, hub) == "tacc"


async def test_when_its_own_site_dies_on_the_way_back_the_class_stays_where_it_serves_loudly() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        await order(replica)
        await until(lambda: reached(replica, hub, "iu", Step.STOPPED))
        await federation.kill_site("iu")
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.FAILED
        assert drill.reason.startswith("on the way back: it stays at tacc")
        assert owner(replica, hub) == "tacc"
        await until(lambda: hub in federation.sites["tacc"].hubs)
        assert notebook(federation, hub, "tacc") == WORK
        assert events(replica)[-1] == "drill.failed"
        assert drill.costs is not None
        assert drill.costs.rto_s is not None, "what the way there has shown counts"


async def test_a_standby_whose_name_nobody_sees_is_left_again_and_the_drill_has_failed() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.names.down = True
        await order(replica)
        await until(lambda: reached(replica, hub, "tacc", Step.VERIFIED))
        work(federation, hub, WORK, "tacc")
        await until(lambda: bool(operation(replica, hub).drill) and operation(replica, hub).target == "iu", 1000)
        federation.names.down = False
        drill = await over(replica, hub, 1000)
        assert drill.outcome is Outcome.FAILED
        assert "tacc: not done within 10 min after verified: name does not lead to the hub yet" in drill.reason
        assert owner(replica, hub) == "iu"
        assert notebook(federation, hub, "iu") == WORK


async def test_a_drill_that_is_cancelled_before_the_standby_owns_the_class_leaves_it_where_it_was() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.sites["iu"].start_server(hub, "s02")
        await order(replica, drain_s=600.0)
        await until(lambda: reached(replica, hub, "tacc", Step.CHECKED))
        assert (await replica.control_service.drill_orders.cancel("atm101", "user/ann"))[2]
        drill = await over(replica, hub)
        assert (drill.outcome, drill.reason) == (
            Outcome.FAILED,
            "on the way there: it stays at iu: cancelled by user/ann",
        )
        assert await serves(federation, "iu", hub)


async def test_on_its_way_back_a_drill_cannot_be_cancelled() -> None:
    async with class_with_homes() as (_federation, replica, hub):
        await order(replica)
        await until(lambda: reached(replica, hub, "iu", Step.ADMITTED))
        with pytest.raises(Refused, match="on its way back by itself"):
            await replica.control_service.drill_orders.cancel("atm101", "user/ann")
        assert (await over(replica, hub)).outcome is Outcome.PASSED


async def test_the_newest_twenty_are_kept() -> None:
    async with protected_class() as (_federation, replica, hub):
        orders = replica.control_service.drill_orders
        for minute in range(MOST_KEPT + 2):
            await order(replica, at=NOON + timedelta(minutes=minute))
            await until(lambda: kept(replica, hub).running is not None)
            await orders.cancel("atm101", "user/ann")
            await until(lambda: kept(replica, hub).running is None)
        times = [drill.at for drill in kept(replica, hub).history]
        assert times == [NOON + timedelta(minutes=minute) for minute in range(2, MOST_KEPT + 2)]


async def test_a_class_without_homes_loses_none_so_nothing_is_said_about_that() -> None:
    async with protected_class() as (_federation, replica, hub):
        await order(replica)
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.PASSED
        assert drill.costs is not None
        assert drill.costs.rpo_s is None


async def test_the_api_shows_the_steps_of_a_drill_that_is_under_way_and_describe_the_newest() -> None:
    async with class_with_homes() as (_federation, replica, hub):
        service = replica.control_service
        await order(replica, at=START + timedelta(minutes=2))
        asked = control_pb2.ListDrillsRequest(name="atm101")
        await until(lambda: kept(replica, hub).running is not None)
        (shown,) = (await service.ListDrills(asked, None)).items
        assert (shown.name, shown.outcome, shown.at) == ("atm101", "", "2026-09-01T08:02:00.000Z")
        await until(lambda: reached(replica, hub, "iu", Step.CHECKED))
        (shown,) = (await service.ListDrills(asked, None)).items
        assert [step.step for step in shown.there][-1] == "done"
        assert [step.step for step in shown.back][:2] == ["admitted", "checked"]
        assert [step.seconds for step in shown.there] == sorted(step.seconds for step in shown.there)
        await over(replica, hub)
        described = await service.Describe(control_pb2.DescribeRequest(name="atm101"), None)
        assert described.drill.outcome == "passed"
        assert described.drill.costs.HasField("rto_s")


async def test_a_class_away_from_home_is_rehearsed_and_goes_home_all_the_same() -> None:
    async with class_with_homes(failback_s=100.0) as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        for start in (federation.start_fencer, federation.start_agent):
            start("iu")
        await until(lambda: armed(replica, "tacc", hub), 300)
        await order(replica)
        assert (await over(replica, hub)).outcome is Outcome.PASSED
        assert owner(replica, hub) == "tacc"
        await until(lambda: owner(replica, hub) == "iu")


async def test_what_could_not_begin_in_time_is_given_up_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drilling, "LATE_S", 60.0)
    async with class_with_homes() as (federation, replica, hub):
        await order(replica, at=START + timedelta(minutes=2))
        await federation.kill("fencer-iu")
        await until(lambda: not armed(replica, "iu", hub))
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.GIVEN_UP
        assert drill.reason.startswith("it could not begin within an hour of its time: not armed: ")
        assert drill.began is None
        assert events(replica) == ["drill.ordered", "drill.given-up"]


async def test_a_way_back_that_cannot_begin_is_given_up_and_the_class_stays_where_it_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drilling, "LATE_S", 60.0)
    async with class_with_homes() as (_federation, replica, hub):
        await order(replica)
        await until(lambda: reached(replica, hub, "tacc", Step.CHECKED))
        await replica.orders.cordon("iu", "new switches", "user/ann", drain=False)
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.FAILED
        assert "on the way back: it stays at tacc: it could not begin within an hour: iu: is cordoned" in drill.reason
        assert owner(replica, hub) == "tacc"
        await served(replica, hub)
