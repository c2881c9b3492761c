"""Which conditions of a hub or a site are worth an alarm now, and which alarms are over. Pure.

A condition that is bad for a moment calls nobody: a standby that is restarted, a copy that is a little late. One that is
good for a moment ends no alarm. Times come from the conditions' `since`, which leaders set by their own clocks: seconds
between those do not matter here, for nothing is moved by an alarm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from federation.core.room import COMING
from federation.model.hooks import HookEvent, Raised
from federation.model.status import Condition, ConditionType, Truth

OF_HUBS = {
    ConditionType.PROTECTED: HookEvent.PROTECTION,
    ConditionType.DATA_FRESH: HookEvent.COPIES,
    ConditionType.ROOM: HookEvent.ROOM,
}
OF_SITES = {ConditionType.READY: HookEvent.SITE}
SILENT = frozenset({ConditionType.READY})  # Unknown is bad: nobody hears it
NOT_YET_BAD = frozenset({COMING})  # reasons of what may still become good in time
OVER = {HookEvent.ROOM: "the time for which its seats were wanted is over"}  # where nothing is said of it any more


@dataclass(frozen=True, slots=True)
class Watched:
    """The conditions of a hub, or of a site (`kinds`), and what was raised about it. `hold_s`: how long something must be
    bad, or good, before it is said. `excused`: what is wanted so (`placement.standby: none`). `settling_s`: since a pause
    of automatic moves ended, during which nothing can be protected."""

    conditions: tuple[Condition, ...]
    raised: tuple[Raised, ...]
    hold_s: float
    excused: frozenset[HookEvent] = frozenset()
    settling_s: float | None = None
    kinds: Mapping[ConditionType, HookEvent] = field(default_factory=lambda: OF_HUBS)


@dataclass(frozen=True, slots=True)
class Change:
    """One alarm to raise, or to end."""

    event: HookEvent
    over: bool
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to say now, what is raised after that, and when to look again (None: when something changes)."""

    changes: tuple[Change, ...] = ()
    raised: tuple[Raised, ...] = ()
    look_s: float | None = None


def judge(watched: Watched, now: datetime) -> Outcome:
    """Compare each watched condition with what was raised."""
    outcome = Outcome(raised=watched.raised)
    for kind, event in watched.kinds.items():
        condition = next((c for c in watched.conditions if c.type is kind), None)
        for change, look_s in _one(watched, condition, event, now):
            outcome = _with(outcome, change, look_s, now)
    return outcome


def _one(
    watched: Watched, condition: Condition | None, event: HookEvent, now: datetime
) -> Iterator[tuple[Change | None, float | None]]:
    known = any(raised.event is event for raised in watched.raised)
    if condition is None or event in watched.excused:
        if known:
            gone = OVER.get(event, "nobody runs the class")
            yield Change(event, True, gone if condition is None else "it is wanted so now"), None
        return
    if condition.reason in NOT_YET_BAD:
        return
    unknown = True if condition.type in SILENT else None
    bad = {Truth.FALSE: True, Truth.TRUE: False, Truth.UNKNOWN: unknown}[condition.status]
    if bad is None or bad is known:  # what nobody knows changes nothing
        return
    held_s = _held_s(condition, now)
    if bad:
        held_s = min(held_s, _served_s(watched, now), held_s if watched.settling_s is None else watched.settling_s)
    if held_s < watched.hold_s:
        yield None, watched.hold_s - max(held_s, 0.0)
    else:
        yield Change(event, not bad, condition.message or condition.reason), None


def _held_s(condition: Condition, now: datetime) -> float:
    return (now - condition.since).total_seconds() if condition.since is not None else 0.0


def _served_s(watched: Watched, now: datetime) -> float:
    """A class that has just begun to serve is copied and armed within moments; one that is cut off is not excused."""
    serving = next((c for c in watched.conditions if c.type is ConditionType.SERVING), None)
    return _held_s(serving, now) if serving is not None and serving.status is Truth.TRUE else float("inf")


def _with(outcome: Outcome, change: Change | None, look_s: float | None, now: datetime) -> Outcome:
    if change is None:
        sooner: Iterable[float] = (s for s in (outcome.look_s, look_s) if s is not None)
        return replace(outcome, look_s=min(sooner, default=None))
    rest = tuple(raised for raised in outcome.raised if raised.event is not change.event)
    if not change.over:
        rest = (*rest, Raised(event=change.event, since=now, message=change.message))
    return replace(outcome, changes=(*outcome.changes, change), raised=rest)
