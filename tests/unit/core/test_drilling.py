"""What comes next in a drill, from what is known: the whole table; and the arithmetic of what an outage would cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from federation.core.drilling import (
    LATE_S,
    OWNED_S,
    START_S,
    Abandon,
    Begin,
    Facts,
    Next,
    Record,
    Rest,
    Return,
    costs,
    decide,
    meets,
    with_steps,
)
from federation.model.drill import Drill, Outcome
from federation.model.operation import Operation, OperationKind, Step, StepRecord
from tests.support.classrooms import classroom

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
HUB = "atm101-abc123"
LATE = timedelta(seconds=LATE_S + 1)
DRILL = Drill(id="d1", actor="user/ann", ordered=NOW, at=NOW)
BEGUN = DRILL.revise(began=NOW, source="iu", target="tacc")


def steps(*pairs: tuple[Step, float, str]) -> tuple[StepRecord, ...]:
    return tuple(StepRecord(step=step, at=NOW + timedelta(seconds=at), message=said) for step, at, said in pairs)


def operation(step: Step = Step.DONE, **more: object) -> Operation:
    base = Operation(
        id="op1",
        kind=OperationKind.MOVE,
        hub=HUB,
        name="atm101",
        generation=1,
        created=NOW,
        actor="user/ann",
        step=step,
    )
    return base.revise(**more)


def there(step: Step, **more: object) -> Operation:
    return operation(step, drill="d1", source="iu", target="tacc", history=steps((step, 0, "")), **more)


def back(step: Step, **more: object) -> Operation:
    return operation(step, drill="d1", source="tacc", target="iu", history=steps((step, 0, "")), **more)


FAILOVER = operation(kind=OperationKind.FAILOVER, source="iu")


def said(drill: Drill, newest: Operation, **more: object) -> Next:
    facts = Facts(drill, newest, "iu", NOW, target="tacc")
    return decide(replace(facts, **more))  # type: ignore[arg-type]


def test_it_begins_at_its_time_and_not_before() -> None:
    later = DRILL.revise(at=NOW + timedelta(hours=1))
    assert said(later, operation()) == Rest("waits for its time")
    assert said(DRILL, operation()) == Begin("iu", "tacc")


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        ({"operation": operation(Step.ADMITTED)}, "move is under way"),
        ({"owner": None}, "runs nowhere"),
        ({"not_now": "the class meets"}, "the class meets"),
        ({"unarmed": ("no witness",)}, "not armed: no witness"),
        ({"target": "", "refused": "no site can take it"}, "no site can take it"),
    ],
)
def test_what_speaks_against_it_is_waited_for_an_hour_and_then_it_is_given_up(
    situation: dict[str, object], reason: str
) -> None:
    facts = replace(Facts(DRILL, operation(), "iu", NOW, target="tacc"), **situation)  # type: ignore[arg-type]
    first = decide(facts)
    assert isinstance(first, Rest)
    assert reason in first.reason
    last = decide(replace(facts, now=NOW + LATE))
    assert isinstance(last, Record)
    assert last.outcome is Outcome.GIVEN_UP
    assert reason in last.reason


def test_with_now_a_meeting_and_with_anyway_a_class_that_is_not_armed_is_no_obstacle() -> None:
    assert said(DRILL.revise(now=True), operation(), not_now="the class meets") == Begin("iu", "tacc")
    assert said(DRILL.revise(anyway=True), operation(), unarmed=("x",)) == Begin("iu", "tacc", ("x",))


def test_a_class_that_ended_is_not_rehearsed() -> None:
    assert said(DRILL, operation(), retired=True) == Record(Outcome.GIVEN_UP, "the class was retired")


def test_a_move_that_does_not_begin_is_given_up_but_not_while_the_class_meets() -> None:
    late = NOW + LATE
    for way in (there, back):
        waits = way(Step.ADMITTED, waiting_for="iu: is cordoned")
        assert isinstance(said(BEGUN, waits), Rest)
        assert said(BEGUN, waits, now=late) == Abandon("it could not begin within an hour: iu: is cordoned")
        assert isinstance(said(BEGUN, waits, now=late, in_meeting=True), Rest)
        assert isinstance(said(BEGUN, waits, now=late, met=late - timedelta(minutes=1)), Rest), "its turn comes now"
        assert isinstance(said(BEGUN, waits.revise(cancelled="by ann"), now=late), Rest)


@pytest.mark.parametrize("step", [Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED])
def test_once_it_has_begun_a_move_has_its_own_patience(step: Step) -> None:
    for way in (there, back):
        assert isinstance(said(BEGUN, way(step), now=NOW + 10 * LATE), Rest)


def test_a_hub_that_serves_and_is_not_seen_goes_back_and_one_that_does_not_start_has_the_patience_of_its_move() -> None:
    late = NOW + timedelta(seconds=START_S + 1)
    for step in (Step.STARTED, Step.VERIFIED):
        move = said(BEGUN, there(step, waiting_for="no name"), owner="tacc", now=late)
        assert move == Return(f"tacc: not done within 10 min after {step.value}: no name")
        assert isinstance(said(BEGUN, there(step), now=late), Record), "turned round, it is at home"
        assert isinstance(said(BEGUN, back(step), now=late), Record)
        assert isinstance(said(BEGUN, back(step), owner="tacc", now=late), Record), "no third move"
    stuck = there(Step.OWNED, waiting_for="tacc: hub is failed")
    assert isinstance(said(BEGUN, stuck, owner="tacc", now=late), Rest)
    later = NOW + timedelta(seconds=OWNED_S + 1)
    over = said(BEGUN, stuck, owner="tacc", now=later)
    assert over == Record(Outcome.FAILED, "tacc: not done within 70 min after owned: tacc: hub is failed")


def test_from_the_standby_it_goes_back_and_at_home_it_has_passed() -> None:
    assert said(BEGUN, there(Step.DONE), owner="tacc") == Return()
    assert said(BEGUN, back(Step.DONE)) == Record(Outcome.PASSED)
    assert said(BEGUN.revise(reason="no name"), back(Step.DONE)) == Record(Outcome.FAILED, "no name")


def test_a_move_that_was_turned_round_has_failed_and_says_why() -> None:
    stays = steps((Step.CHECKED, 0, ""), (Step.OWNED, 1, "it stays at iu: tacc: is full"), (Step.DONE, 2, ""))
    turned = there(Step.DONE).revise(history=stays)
    assert said(BEGUN, turned) == Record(Outcome.FAILED, "on the way there: it stays at iu: tacc: is full")
    assert said(BEGUN, turned.revise(history=stays[1:], cancelled="x")) == Record(
        Outcome.GIVEN_UP, "it stays at iu: tacc: is full"
    )
    stays = steps((Step.OWNED, 1, "it stays at tacc: iu: is full"))
    assert said(BEGUN, back(Step.DONE).revise(history=stays), owner="tacc") == Record(
        Outcome.FAILED, "on the way back: it stays at tacc: iu: is full"
    )


COULD_NOT = "tacc could not start it within 5 min: hub is failed: no such image"


def test_a_drill_that_was_taken_back_from_its_standby_has_failed_and_says_why() -> None:
    way = back(Step.DONE, back=COULD_NOT)
    assert said(BEGUN, way) == Record(Outcome.FAILED, f"on the way there: {COULD_NOT}")
    assert said(BEGUN, way, owner="tacc") == Return(COULD_NOT), "it serves there after all"
    off = way.revise(cancelled="cancelled by ann", history=steps((Step.OWNED, 1, "it stays at tacc: cancelled by ann")))
    assert said(BEGUN, off, owner="tacc") == Record(
        Outcome.FAILED, f"on the way there: {COULD_NOT}; it stays at tacc: cancelled by ann"
    )


def test_one_that_was_taken_back_to_its_standby_has_failed_on_the_way_back_and_stays_there() -> None:
    could_not = COULD_NOT.replace("tacc", "iu")
    assert said(BEGUN, there(Step.DONE, back=could_not), owner="tacc") == Record(
        Outcome.FAILED, f"on the way back: {could_not}"
    )


def test_a_way_back_of_its_own_is_waited_for_and_not_given_up() -> None:
    for way in (there, back):
        waits = way(Step.ADMITTED, back=COULD_NOT, waiting_for="iu: it is silent itself")
        assert isinstance(said(BEGUN, waits, now=NOW + LATE), Rest)


def test_the_steps_of_both_ways_are_kept_when_it_is_taken_back() -> None:
    first = there(Step.OWNED, copied=NOW)
    kept = with_steps(BEGUN, back(Step.STOPPED, back=COULD_NOT, interrupted=first))
    assert (kept.there, kept.back, kept.copied) == (first.history, steps((Step.STOPPED, 0, "")), NOW)
    second = back(Step.OWNED)
    kept = with_steps(BEGUN, there(Step.DONE, back=COULD_NOT, interrupted=second))
    assert (kept.there, kept.back) == ((), second.history)


def test_an_outage_on_the_way_is_waited_for_and_then_recorded_as_such() -> None:
    assert isinstance(said(BEGUN, FAILOVER.revise(step=Step.OWNED)), Rest)
    over = said(BEGUN, FAILOVER, owner="tacc")
    assert over == Record(Outcome.FAILED, "iu fell silent on the way and the class was taken over: it is at tacc")
    other = said(BEGUN, operation(actor="user/bob"))
    assert other == Record(Outcome.FAILED, "move by user/bob took its place: it is at iu")


def test_what_an_outage_would_cost_is_l_and_what_was_measured() -> None:
    way = steps(
        (Step.DRAINED, 10, ""),
        (Step.STOPPED, 12, ""),
        (Step.RELEASED, 15, ""),
        (Step.OWNED, 16, ""),
        (Step.NAMED, 36.5, ""),
    )
    found = costs(BEGUN.revise(there=way, back=way, copied=NOW - timedelta(seconds=100)), 90.0)
    assert (found.lease_s, found.serve_s, found.rto_s) == (90.0, 20.5, 110.5)
    assert found.rpo_s == 112.0, "until the hub had stopped students may have worked"
    assert (found.away_s, found.away_back_s) == (26.5, 26.5)


def test_what_was_not_measured_is_no_number() -> None:
    found = costs(BEGUN, 90.0)
    assert (found.serve_s, found.rto_s, found.rpo_s, found.away_s, found.away_back_s) == (None,) * 5
    turned = steps((Step.OWNED, 1, "it stays at iu: tacc: is full"), (Step.NAMED, 9, ""))
    assert costs(BEGUN.revise(there=turned), 90.0).rto_s is None, "it has never served at the standby"


def test_a_class_time_and_the_hour_before_one_are_no_time_for_it() -> None:
    spec = classroom("atm101", meetings=[{"once": {"date": "2026-09-01", "at": "03:30", "minutes": 60}}]).spec
    assert meets(spec, NOW - timedelta(hours=2)) == ""
    assert meets(spec, NOW).endswith("to 09:30 UTC, which is too soon after")
    assert meets(spec, NOW + timedelta(minutes=45)) == "the class meets from 2026-09-01 08:30 to 09:30 UTC"
    assert meets(spec, NOW + timedelta(minutes=91)) == ""
