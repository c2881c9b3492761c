"""Which recorded copies stay listed, which of them has a home, and which one answers "as it was at that time".

Only copies that were recorded under the (owner, epoch) guard are ever in the history, so that nothing else is ever given
back. The further back, the fewer are kept; each list stays far below what the register takes in one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.model.homes import HomeHistory, HomeIndex, HomeTrace, RecordedCopy

DENSE = timedelta(hours=1)
"""Younger ones are all kept."""
SLOTS = (
    (timedelta(hours=6), timedelta(minutes=15)),
    (timedelta(days=2), timedelta(hours=1)),
    (timedelta(days=14), timedelta(hours=6)),
    (timedelta.max, timedelta(days=1)),
)
"""Up to which age one copy is kept of each span of so long."""
MOST = 400
SHOWN = timedelta(milliseconds=1)  # what lists show of a time


@dataclass(frozen=True, slots=True)
class HomeSeen:
    """One home in a copy; `changed` since the copy before it by the same site."""

    bytes: int
    changed: bool


def recorded(
    before: HomeHistory | None, newest: HomeIndex, homes: Mapping[str, HomeSeen], now: datetime, keep_s: float
) -> HomeHistory:
    """The history with the newest copy in it, without those that are older than `keep_s` or too many."""
    copies = before.copies if before is not None else ()
    traces = before.homes if before is not None else {}
    one = RecordedCopy(
        n=copies[-1].n + 1 if copies else 1,
        copy_=newest.copy_,
        epoch=newest.epoch,
        taken=newest.taken,
        homes=newest.homes,
        files=newest.files,
        bytes=newest.bytes,
        unread=len(newest.unread),
    )
    kept = (*thinned(copies, now, keep_s), one)
    return HomeHistory(hub=newest.hub, copies=kept, homes=_traced(traces, one, homes, kept[0].n))


def thinned(copies: tuple[RecordedCopy, ...], now: datetime, keep_s: float) -> tuple[RecordedCopy, ...]:
    """Of each span of time the first copy: which one it is does not change while others come and go."""
    taken: set[tuple[timedelta, int]] = set()
    kept = []
    for copy in copies:
        age = now - copy.taken
        if age.total_seconds() > keep_s:
            continue
        if age > DENSE:
            length = next(length for until, length in SLOTS if age <= until)
            slot = (length, int(copy.taken.timestamp() // length.total_seconds()))
            if slot in taken:
                continue
            taken.add(slot)
        kept.append(copy)
    return tuple(kept[1 - MOST :])


def copies_of(history: HomeHistory | None, home: str = "") -> tuple[RecordedCopy, ...]:
    """The recorded copies, newest first; with `home` those that have a home of this safe name."""
    if history is None:
        return ()
    trace = history.homes.get(home)
    found = (copy for copy in history.copies if not home or (trace is not None and trace.is_in(copy.n)))
    return tuple(sorted(found, key=lambda copy: (copy.taken, copy.n), reverse=True))


def as_of(copies: tuple[RecordedCopy, ...], at: datetime) -> RecordedCopy | None:
    """Of copies that are sorted newest first, the one that shows what was there at `at`: not younger, by the times that
    lists show, so that one of those can be given."""
    return next((copy for copy in copies if copy.taken - SHOWN < at), None)


def restored_folder(copy: RecordedCopy) -> str:
    """Where a home as of this copy goes: the same whenever it is asked for again."""
    return f"restored-{copy.taken:%Y-%m-%dT%H%M%SZ}"


def _traced(
    before: Mapping[str, HomeTrace], copy: RecordedCopy, homes: Mapping[str, HomeSeen], oldest: int
) -> dict[str, HomeTrace]:
    """The newest copy has these homes and no others; spans that ended before the oldest copy are forgotten."""
    traces: dict[str, HomeTrace] = {}
    for name in sorted(before.keys() | homes.keys()):
        known, seen = before.get(name), homes.get(name)
        spans = list(known.spans) if known is not None else []
        if seen is None:
            spans = [(first, copy.n if end is None else end) for first, end in spans]
        elif not spans or spans[-1][1] is not None:
            spans.append((copy.n, None))
        spans = [(first, end) for first, end in spans if end is None or end > oldest]
        if not spans:
            continue
        same = known is not None and (seen is None or not seen.changed)
        changed = known.changed if same and known is not None else copy.taken
        size = seen.bytes if seen is not None else known.bytes if known is not None else 0
        traces[name] = HomeTrace(bytes=size, changed=changed, spans=tuple(spans))
    return traces
