"""Which generation a site runs: a change that restarts the hub waits for the end of a class."""

from datetime import UTC, datetime
from typing import Any

import pytest

from federation.core.in_force import generation_in_force, meeting_to_wait_for
from federation.model.operation import Operation, OperationKind, Step
from federation.model.placing import ClassroomRecord, Generation
from tests.support.classrooms import classroom

IN_CLASS = datetime(2026, 9, 1, 20, 0, tzinfo=UTC)  # Tuesday 15:00 in Chicago
AFTER = datetime(2026, 9, 1, 22, 0, tzinfo=UTC)
TUESDAYS: list[dict[str, Any]] = [{"weekly": {"days": ["tue"], "at": "14:30", "minutes": 120}}]
RESTARTING = {"limits": {"start_timeout": 500}}
LIVE = {"roster": {"expected": 10, "admins": ["ann"], "users": ["s01", "s02", "s03"]}}
MORE_STUDENTS = {"roster": {"expected": 20, "admins": ["ann"], "users": ["s01", "s02"]}}


def record(change: dict[str, Any], first: bool = False) -> ClassroomRecord:
    before, after = classroom(meetings=TUESDAYS), classroom(**{"meetings": TUESDAYS, **change})
    former = None if first else Generation(number=1, classroom=before)
    return ClassroomRecord(
        uid="atm101-abc123",
        generation=2,
        classroom=after,
        created=AFTER,
        changed=AFTER,
        actor="user/ann",
        former=former,
    )


def operation(step: Step = Step.ADMITTED, kind: OperationKind = OperationKind.PLACE, now: bool = False) -> Operation:
    return Operation(
        id="op",
        kind=kind,
        hub="atm101-abc123",
        name="atm101",
        generation=2,
        step=step,
        created=AFTER,
        actor="a",
        now=now,
    )


@pytest.mark.parametrize(
    ("change", "at", "now", "waits"),
    [
        (RESTARTING, IN_CLASS, False, True),
        (RESTARTING, IN_CLASS, True, False),  # --now
        (RESTARTING, AFTER, False, False),
        (LIVE, IN_CLASS, False, False),
        (MORE_STUDENTS, IN_CLASS, False, True),  # the limit of running servers follows their number
        ({"meetings": [], **RESTARTING}, IN_CLASS, False, True),  # students came for the hours that they knew
    ],
)
def test_only_a_restart_waits_and_only_for_a_class_that_runs(
    change: dict[str, Any], at: datetime, now: bool, waits: bool
) -> None:
    assert (meeting_to_wait_for(record(change), operation(now=now), at) is not None) is waits


def test_a_new_class_waits_for_nothing() -> None:
    assert meeting_to_wait_for(record(RESTARTING, first=True), operation(), IN_CLASS) is None


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (operation(Step.ADMITTED), 1),
        (operation(Step.ASSIGNED), 2),
        (operation(Step.DONE), 2),
        (operation(Step.ADMITTED, OperationKind.RETIRE), 2),
        (None, 2),
    ],
)
def test_the_former_generation_is_in_force_until_its_successor_has_its_turn(
    asked: Operation | None, number: int
) -> None:
    assert generation_in_force(record(RESTARTING), asked).number == number
