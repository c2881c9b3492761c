"""(6) Homes: what is restored is what was on record when the hub changed hands; records form a chain, of which nothing is
ever missing in a later one; students find all their work when they are let in, but what a lost site had not sent; and that
comes back (DESIGN.md I3, I6; PROTOCOL.md H7)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.support.sim.checks.one_copy import PAUSED_S
from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import History, MachinePause, Owner, Pair, TakenOver
from tests.support.sim.history_homes import Copied, NotBack, Recorded, Restored, SeenHomes, Worked, Works

NAME = "6 homes"


@dataclass(slots=True)
class Homes:
    """Of one hub. `due`: what students must find; `at`: epoch -> the copy on record when that epoch began. What is done at
    a site that owns the hub no more, and still may serve it for a moment, is unsent work."""

    owner: tuple[str, Pair] = ("", (0, 0))
    recorded: Recorded | None = None
    works: Works = frozenset()  # of the copy on record
    due: set[int] = field(default_factory=set)
    at: dict[Pair, str] = field(default_factory=dict)


def check(history: History) -> Verdict:  # noqa: C901, PLR0912 - one table
    verdict = Verdict(NAME)
    hubs: dict[str, Homes] = defaultdict(Homes)
    copies: dict[str, Copied] = {}
    paused: dict[str, float] = {}  # machine -> when it stopped or went on last
    for event in history.events:
        hub = hubs[getattr(event, "hub", "")]
        match event:
            case Worked():
                verdict.counts["works"] += 1
                if hub.owner == (event.site, event.epoch):
                    hub.due.add(event.work)
            case Copied():
                copies[event.snapshot] = event
            case Recorded():
                _recorded(verdict, hub, event, copies.get(event.snapshot))
            case TakenOver():
                verdict.counts["works unsent"] += len(hub.due - hub.works) if hub.recorded else 0
                hub.due &= hub.works
            case Owner():
                hub.owner = (event.owner, event.epoch)
                hub.at.setdefault(event.epoch, hub.recorded.snapshot if hub.recorded else "")
            case Restored():
                verdict.counts["restores"] += 1
                if event.snapshot != hub.at.get(event.epoch, ""):
                    due = hub.at.get(event.epoch) or "none"
                    text = f"{event.site} restored {event.snapshot[:8]}, on record for {event.epoch} was {due[:8]}"
                    verdict.found(event.at, text, event.hub, (event.site,))
            case MachinePause():
                paused[event.site] = event.at
            case SeenHomes():
                if hub.owner[0] != event.site and event.at - paused.get(event.site, -1e9) < PAUSED_S:
                    verdict.counts["exposed by a paused machine"] += 1  # as in (1): no L covers that
                else:
                    _let_in(verdict, hub, event)
            case NotBack():
                text = f"{_words(event.works)} never came back: {event.record}"
                verdict.found(event.at, text, event.hub)
    return verdict.done(known=history.ended)


def _recorded(verdict: Verdict, hub: Homes, event: Recorded, copy: Copied | None) -> None:
    where = (event.site,)
    if copy is None or (copy.site, copy.epoch) != (event.site, event.epoch) or copy.unsent:
        text = f"the index names {event.snapshot[:8]} of {event.site} at {event.epoch}, which is no such copy"
        verdict.found(event.at, text, event.hub, where)
        return
    before = hub.recorded
    if before is not None and event.epoch < before.epoch:
        text = f"the index went back from a copy of {before.epoch} to one of {event.epoch}"
        verdict.found(event.at, text, event.hub, where)
    if gone := hub.works - copy.works:
        text = f"{_words(gone)} is in the copy on record before, and not in this one of {event.site}"
        verdict.found(event.at, text, event.hub, where)
    hub.recorded, hub.works = event, copy.works


def _let_in(verdict: Verdict, hub: Homes, event: SeenHomes) -> None:
    verdict.counts["homes seen"] += 1
    if missing := frozenset(hub.due - event.works):
        word = "empty homes" if not event.works else "older homes"
        text = f"students were let into {word} at {event.site} at {event.epoch}: {_words(missing)} is missing"
        verdict.found(event.at, text, event.hub, (event.site,))
        hub.due -= missing  # once is enough


def _words(works: Works) -> str:
    numbers = sorted(works)
    return f"work {', '.join(map(str, numbers[:5]))}{' and more' if len(numbers) > 5 else ''}"
