"""An alarm is told when something stays bad, and its end when it stays good; moments call nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from federation.core.alarms import OF_SITES, Watched, judge
from federation.model.hooks import HookEvent, Raised
from federation.model.status import Condition, ConditionType, Truth

NOW = datetime(2026, 9, 1, 9, 0, tzinfo=UTC)
RAISED = Raised(event=HookEvent.PROTECTION, since=NOW - timedelta(hours=1), message="no standby")


def condition(kind: ConditionType, status: Truth, held_s: float, message: str = "no standby") -> Condition:
    return Condition(type=kind, status=status, reason="Because", message=message, since=NOW - timedelta(seconds=held_s))


def protected(status: Truth, held_s: float, *raised: Raised, served_s: float = 3600.0) -> Watched:
    serving = condition(ConditionType.SERVING, Truth.TRUE, served_s)
    return Watched((serving, condition(ConditionType.PROTECTED, status, held_s)), raised, hold_s=120.0)


def test_what_is_bad_for_long_enough_is_raised_once() -> None:
    outcome = judge(protected(Truth.FALSE, 120.0), NOW)
    (change,) = outcome.changes
    assert (change.event, change.over, change.message) == (HookEvent.PROTECTION, False, "no standby")
    (raised,) = outcome.raised
    assert judge(protected(Truth.FALSE, 500.0, raised), NOW).changes == ()


def test_what_is_bad_for_a_moment_is_looked_at_again_when_it_may_be_told() -> None:
    outcome = judge(protected(Truth.FALSE, 100.0), NOW)
    assert outcome.changes == ()
    assert outcome.look_s == pytest.approx(20.0)


def test_seats_that_are_yet_to_come_are_told_of_only_shortly_before_the_bell() -> None:
    missing = Condition(
        type=ConditionType.ROOM,
        status=Truth.FALSE,
        reason="RoomMissing",
        message="18 of 25 seats for 14:30: 1 more node is asked for",
        since=NOW - timedelta(minutes=10),
    )
    assert judge(Watched((missing,), (), hold_s=120.0), NOW).changes == ()
    late = judge(Watched((missing.revise(reason="RoomLate"),), (), hold_s=120.0), NOW)
    assert [(change.event, change.over, change.message) for change in late.changes] == [
        (HookEvent.ROOM, False, missing.message)
    ]
    (over,) = judge(Watched((), late.raised, hold_s=120.0), NOW).changes
    assert (over.over, over.message) == (True, "the time for which its seats were wanted is over")


def test_an_alarm_ends_when_it_stays_good() -> None:
    assert judge(protected(Truth.TRUE, 119.0, RAISED), NOW).changes == ()
    outcome = judge(protected(Truth.TRUE, 121.0, RAISED), NOW)
    assert [change.over for change in outcome.changes] == [True]
    assert outcome.raised == ()


@pytest.mark.parametrize("raised", [(), (RAISED,)])
def test_what_nobody_knows_changes_nothing(raised: tuple[Raised, ...]) -> None:
    outcome = judge(protected(Truth.UNKNOWN, 500.0, *raised), NOW)
    assert outcome.changes == ()
    assert outcome.raised == raised


def test_a_class_that_has_just_begun_to_serve_has_a_moment_to_be_copied_and_armed() -> None:
    outcome = judge(protected(Truth.FALSE, 900.0, served_s=30.0), NOW)
    assert outcome.changes == ()
    assert outcome.look_s == pytest.approx(90.0)


def test_a_pause_is_told_itself_and_not_for_each_class() -> None:
    during, just_after = (replace(protected(Truth.FALSE, 900.0), settling_s=s) for s in (0.0, 60.0))
    assert judge(during, NOW).changes == judge(just_after, NOW).changes == ()
    assert judge(replace(just_after, settling_s=121.0), NOW).changes


def test_what_the_file_wants_is_no_alarm_and_ends_one() -> None:
    excused = frozenset({HookEvent.PROTECTION})
    assert judge(replace(protected(Truth.FALSE, 900.0), excused=excused), NOW).changes == ()
    (change,) = judge(replace(protected(Truth.FALSE, 900.0, RAISED), excused=excused), NOW).changes
    assert change.over


def test_a_class_that_nobody_runs_has_no_alarms() -> None:
    (change,) = judge(Watched((), (RAISED,), hold_s=120.0), NOW).changes
    assert (change.over, change.message) == (True, "nobody runs the class")


def test_of_a_site_nothing_heard_is_what_is_bad() -> None:
    silent = condition(ConditionType.READY, Truth.UNKNOWN, 121.0, "iu: agent is silent")
    outcome = judge(Watched((silent,), (), hold_s=120.0, kinds=OF_SITES), NOW)
    assert [(change.event, change.over, change.message) for change in outcome.changes] == [
        (HookEvent.SITE, False, "iu: agent is silent")
    ]


def test_copies_and_protection_are_told_apart() -> None:
    both = (
        condition(ConditionType.PROTECTED, Truth.FALSE, 300.0),
        condition(ConditionType.DATA_FRESH, Truth.FALSE, 300.0, "the newest copy is old"),
    )
    outcome = judge(Watched(both, (RAISED,), hold_s=120.0), NOW)
    assert [(change.event, change.message) for change in outcome.changes] == [
        (HookEvent.COPIES, "the newest copy is old")
    ]
    assert {raised.event for raised in outcome.raised} == {HookEvent.COPIES, HookEvent.PROTECTION}
