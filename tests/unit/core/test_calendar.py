"""Class times become instants: weekly hours follow the daylight saving of the class's zone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.core.calendar import Urgency, Window, current_window, urgency, windows
from federation.model.classroom import ClassroomSpec
from tests.support.classrooms import classroom


def spec(*meetings: dict[str, Any], **term: str) -> ClassroomSpec:
    dates = {"start": "2026-08-24", "end": "2026-12-18", "timezone": "America/Chicago", **term}
    return classroom(meetings=list(meetings), term=dates).spec


def weekly(*days: str, at: str = "14:30", minutes: int = 120) -> dict[str, Any]:
    return {"weekly": {"days": list(days), "at": at, "minutes": minutes}}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts(found: tuple[Window, ...]) -> list[str]:
    return [f"{window.start:%m-%d %H:%M}" for window in found]


def test_a_weekly_hour_moves_in_utc_when_clocks_change() -> None:
    found = windows(spec(weekly("tue")), at("2026-10-20"), at("2026-11-11"))
    assert starts(found) == ["10-20 19:30", "10-27 19:30", "11-03 20:30", "11-10 20:30"]
    assert all(window.end - window.start == timedelta(minutes=120) for window in found)
    assert all(window.start - window.warm == timedelta(minutes=15) for window in found)


def test_the_first_and_the_last_day_of_the_term_are_in_it() -> None:
    term = {"start": "2026-09-01", "end": "2026-09-08"}  # both are Tuesdays
    found = windows(spec(weekly("tue"), **term), at("2026-08-01"), at("2026-10-01"))
    assert starts(found) == ["09-01 19:30", "09-08 19:30"]


def test_single_meetings_and_series_come_in_order() -> None:
    once = {"once": {"date": "2026-09-02", "at": "09:00", "minutes": 60}}
    found = windows(spec(weekly("tue", "thu"), once), at("2026-09-01"), at("2026-09-04"))
    assert starts(found) == ["09-01 19:30", "09-02 14:00", "09-03 19:30"]


@pytest.mark.parametrize(
    ("now", "inside"),
    [
        ("2026-09-01T19:14:59", False),
        ("2026-09-01T19:15:00", True),  # warming up
        ("2026-09-01T21:29:59", True),
        ("2026-09-01T21:30:00", False),
    ],
)
def test_a_class_occupies_its_hub_from_warming_up_to_its_end(now: str, inside: bool) -> None:
    assert (current_window(spec(weekly("tue")), at(now)) is not None) is inside


def test_a_class_over_midnight_is_found_on_the_next_day() -> None:
    late = spec(weekly("mon", at="23:00", minutes=180))
    window = current_window(late, at("2026-09-01T06:30:00"))  # 01:30 in Chicago
    assert window is not None
    assert window.end == at("2026-09-01T07:00:00")


def test_of_two_classes_at_once_the_one_that_ends_last_counts() -> None:
    both = spec(weekly("tue", minutes=30), weekly("tue", at="14:45", minutes=60))
    window = current_window(both, at("2026-09-01T19:50:00"))
    assert window is not None
    assert window.end == at("2026-09-01T20:45:00")


@pytest.mark.parametrize("hour", ["02:30", "01:30"])
def test_an_hour_that_clocks_skip_or_repeat_is_still_one_class(hour: str) -> None:
    spring = spec(weekly("sun", at=hour, minutes=30), start="2026-03-01", end="2026-11-30")
    for day in ("2026-03-08", "2026-11-01"):  # clocks change
        assert len(windows(spring, at(day), at(day) + timedelta(days=1))) == 1


def test_a_class_without_meetings_occupies_nothing() -> None:
    assert windows(spec(), at("2026-08-01"), at("2026-12-31")) == ()


def test_who_meets_now_comes_before_an_exam_before_who_meets_soon() -> None:
    tuesday = spec(weekly("tue", at="14:30", minutes=120))
    exam = spec({**weekly("tue", at="14:30", minutes=120), "exam": True})
    assert urgency(tuesday, at("2026-09-01T20:00:00")) is Urgency.MEETING  # 15:00 in Chicago
    assert urgency(exam, at("2026-09-01T12:00:00")) is Urgency.EXAM
    assert urgency(tuesday, at("2026-09-01T18:00:00")) is Urgency.SOON
    assert urgency(tuesday, at("2026-09-01T12:00:00")) is Urgency.REST
    assert urgency(spec(), at("2026-09-01T12:00:00")) is Urgency.REST
