"""When a test server may be started, and when the next one is due: the whole table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.core.server_tests import AGAIN_S, AHEAD_S, Situation, misses_after, next_s, objection
from federation.model.outlook import FIRM

FREE = Situation(serves=True, busy=False, draining=False, cordon="", meets_within_s=None, servers=0, seats=3)


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({}, ""),
        ({"servers": 2}, ""),
        ({"meets_within_s": AHEAD_S + 1}, ""),
        ({"busy": True}, "an operation"),
        ({"serves": False}, "does not serve"),
        ({"draining": True}, "lets nobody new in"),
        ({"cordon": "new disks"}, "closed to hubs: new disks"),
        ({"meets_within_s": AHEAD_S}, "it meets now or soon"),
        ({"meets_within_s": 0.0}, "it meets now or soon"),
        ({"servers": 3}, "all 3 seats"),
        ({"servers": 4}, "all 3 seats"),
    ],
)
def test_a_test_server_takes_nothing_from_students_and_meets_no_operation(
    situation: dict[str, object], said: str
) -> None:
    words = objection(replace(FREE, **situation))  # type: ignore[arg-type]
    assert said in words
    assert bool(words) is bool(said)


def test_after_a_miss_the_next_comes_soon_and_many_classes_are_tested_less_often() -> None:
    assert next_s(900.0, 0, 3) == 900.0
    assert next_s(900.0, 0, 100) == 1000.0
    assert next_s(900.0, 1, 100) == AGAIN_S
    assert next_s(60.0, 2, 1) == 60.0


def test_misses_are_counted_in_a_row_and_no_further_than_they_say_something() -> None:
    count, counts = 0, []
    for problem in ("x", "x", "x", "x", "", "x"):
        count = misses_after(count, problem)
        counts.append(count)
    assert counts == [1, 2, FIRM, FIRM, 0, 1]
