"""(7) No stop without a reason: the hub's time was over, a higher epoch was heard, a planned move has drained it, or a
fault took it.

A fencer goes by what it remembers. While there is no lease file, one that was started since then knows nothing and ends
what it finds; one that had not read the last file before that was lost ends what had lapsed in the file before. One
that hung does not know that a hub stood meanwhile, if that hub has left the file when it goes on: it ends what had
lapsed before."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import (
    Acked,
    Answered,
    FencerStarted,
    FileLost,
    History,
    Hub,
    Journaled,
    LeaseFile,
    Operation,
    Pair,
    Rebooted,
    StopBegun,
)

NAME = "7 stops"
TINY_S = 1e-3
LATE_S = 10.0


@dataclass(slots=True)
class Site:
    """`closes`: hub -> its deadline in the newest file that had it; None: it has none. `fencer_closes`: the same, of
    files that the fencer has taken."""

    closes: dict[str, tuple[Pair, float | None]] = field(default_factory=dict)
    fencer_closes: dict[str, float | None] = field(default_factory=dict)
    files: dict[Pair, dict[str, float | None]] = field(default_factory=dict)  # that the fencer may yet take
    newest: frozenset[str] = frozenset()  # the hubs of the newest file
    heard: dict[str, Pair] = field(default_factory=dict)  # the highest epoch that ended the hub here
    has_file: bool = False
    order: Pair = (-1, -1)  # of the newest file
    acked: Pair = (-1, -1)
    blind: bool = False  # the fencer has read no file since it was started

    def written(self, event: LeaseFile) -> None:
        closes = {hub: close_at for hub, (_epoch, close_at, _) in event.permits.items()}
        self.closes.update({hub: (epoch, close_at) for hub, (epoch, close_at, _) in event.permits.items()})
        self.has_file, self.blind, self.order = True, False, (event.incarnation, event.seq)
        self.files[self.order], self.newest = closes, frozenset(closes)

    def taken(self, order: Pair) -> None:
        self.acked = order
        self.fencer_closes.update(self.files.get(order, {}))
        self.files = {at: closes for at, closes in self.files.items() if at >= order}

    def forgotten(self, hub: str, own_s: float) -> bool:
        """Whether the hub is in the file no more, and its time is over by the last one that the fencer has taken."""
        close_at = self.fencer_closes.get(hub)
        return hub not in self.newest and close_at is not None and own_s >= close_at - TINY_S

    def hears(self, ended: dict[str, Pair]) -> None:
        for hub, epoch in ended.items():
            self.heard[hub] = max(epoch, self.heard.get(hub, epoch))


MOVED = ("drained", "stopped", "copied", "released")


def check(history: History) -> Verdict:  # noqa: C901 - one table
    verdict = Verdict(NAME)
    sites: dict[str, Site] = {}
    moved: dict[str, float] = {}  # hub -> until when a move may stop it: a directive may be on its way for a moment
    for event in history.events:
        site = sites.setdefault(getattr(event, "site", ""), Site())
        match event:
            case LeaseFile():
                site.written(event)
            case Acked():
                site.taken(event.order)
            case FileLost():
                site.has_file = False
            case FencerStarted():
                site.blind = not site.has_file
            case Rebooted():
                site.closes.clear()
                site.fencer_closes.clear()
                site.has_file = False
            case Answered():
                site.hears(dict(event.revoked))
            case Journaled(lost=False):
                site.hears(dict(event.ended))
            case Operation():
                under_way = event.kind == "move" and event.step in MOVED
                moved[event.hub] = float("inf") if under_way else min(moved.get(event.hub, 0.0), event.at + LATE_S)
            case StopBegun() if event.at <= moved.get(event.hub, -1.0):
                verdict.counts["stops for a move"] += 1
            case StopBegun():
                _judge(verdict, site, event, "stop")
            case Hub(up=False, cause="fenced"):
                _judge(verdict, site, event, "fenced")
    return verdict.done()


def _judge(verdict: Verdict, site: Site, event: StopBegun | Hub, cause: str) -> None:
    _, close_at = site.closes.get(event.hub, (event.epoch, None))
    if site.heard.get(event.hub, (-1, -1)) > event.epoch:
        verdict.counts["stops after evidence"] += 1
    elif close_at is not None and event.own_s >= close_at - TINY_S:
        verdict.counts["stops after a lapse"] += 1
    elif cause == "fenced" and not site.has_file and (site.blind or site.acked < site.order):
        verdict.counts["stops by a fencer that knew nothing"] += 1
    elif cause == "fenced" and site.forgotten(event.hub, event.own_s):
        verdict.counts["stops by a fencer that had hung"] += 1
    else:
        until = "has no deadline" if close_at is None else f"was good for {close_at - event.own_s:.1f} s more"
        text = f"{event.site} ended it ({cause}) at {event.epoch}; its permission {until}"
        verdict.found(event.at, text, event.hub, (event.site,))
