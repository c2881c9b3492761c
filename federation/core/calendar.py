"""When a class meets: from `meetings` in the class's own time zone to instants. Addresses of calendars are not read yet.

A weekly time follows the daylight saving of the class's zone. A time that a change of clocks skips or repeats is read
as PEP 495 reads it with fold 0: the first of two, or as far past the gap as it stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

from federation.model.classroom import ClassroomSpec
from federation.model.classroom_people import MINUTES_A_DAY, Meeting


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One class time, UTC: from `warm` before the bell, when everything is to be ready, to the end."""

    warm: datetime
    start: datetime
    end: datetime
    exam: bool = False


class Urgency(IntEnum):
    """Who comes first when several classes have lost their site (DESIGN.md 4.2)."""

    MEETING = 0  # it meets now
    EXAM = 1  # it has an exam within the next half day
    SOON = 2  # it meets within the next two hours
    REST = 3


EXAM_AHEAD, SOON_AHEAD = timedelta(hours=12), timedelta(hours=2)


def urgency(spec: ClassroomSpec, now: datetime) -> Urgency:
    """How urgently the class needs its hub."""
    coming = windows(spec, now, now + EXAM_AHEAD)
    if any(window.warm <= now for window in coming):
        return Urgency.MEETING
    if any(window.exam for window in coming):
        return Urgency.EXAM
    if any(window.start <= now + SOON_AHEAD for window in coming):
        return Urgency.SOON
    return Urgency.REST


def windows(spec: ClassroomSpec, since: datetime, until: datetime) -> tuple[Window, ...]:
    """All windows that touch the span from `since` to `until` (aware), sorted; each as long as the meeting is."""
    return tuple(sorted(window for _, window in meetings(spec, since, until)))


def meetings(spec: ClassroomSpec, since: datetime, until: datetime) -> Iterator[tuple[Meeting, Window]]:
    """The same, each with what the class said of it; in no order."""
    for meeting in spec.meetings:
        for window in _of(spec, meeting, since, until):
            if window.warm < until and window.end > since:
                yield meeting, window


def current_window(spec: ClassroomSpec, now: datetime) -> Window | None:
    """The window that `now` is in; of several, the one that ends last."""
    running = [w for w in windows(spec, now, now + timedelta(microseconds=1)) if w.warm <= now]
    return max(running, key=lambda window: window.end, default=None)


def _of(spec: ClassroomSpec, meeting: Meeting, since: datetime, until: datetime) -> Iterator[Window]:
    zone, warm = ZoneInfo(spec.term.timezone), timedelta(seconds=meeting.warm.seconds)
    if meeting.once is not None:
        yield _window(meeting, meeting.once.date, meeting.once.at, meeting.once.minutes, zone)
    if meeting.weekly is None:
        return
    longest = timedelta(minutes=MINUTES_A_DAY)
    day = max(spec.term.start, (since.astimezone(zone) - longest).date())
    last = min(spec.term.end, (until.astimezone(zone) + warm).date())
    weekdays = {weekday.number for weekday in meeting.weekly.days}
    while day <= last:
        if day.weekday() in weekdays:
            yield _window(meeting, day, meeting.weekly.at, meeting.weekly.minutes, zone)
        day += timedelta(days=1)


def _window(meeting: Meeting, day: date, at: str, minutes: int, zone: ZoneInfo) -> Window:
    start = datetime.combine(day, time.fromisoformat(at), zone).astimezone(UTC)
    warm = timedelta(seconds=meeting.warm.seconds)
    return Window(start - warm, start, start + timedelta(minutes=minutes), meeting.exam)
