"""(7) No stop without a reason: the hub's time was over, a higher epoch was heard, a planned move has drained it, or a
fault took it.

While there is no lease file a fencer goes by what it remembers: one that was started since then knows nothing and ends what
it finds; one that had not read the last file before that was lost ends what had lapsed in the file before."""

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
    """`closes`: hub -> its deadline in the newest file that had it; None: it has none."""

    closes: dict[str, tuple[Pair, float | None]] = field(default_factory=dict)
    heard: dict[str, Pair] = field(default_factory=dict)  # the highest epoch that ended the hub here
    has_file: bool = False
    order: Pair = (-1, -1)  # of the newest file
    acked: Pair = (-1, -1)
    blind: bool = False  # the fencer has read no file since it was started

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
                site.closes.update({hub: (epoch, close_at) for hub, (epoch, close_at, _) in event.permits.items()})
                site.has_file, site.blind, site.order = True, False, (event.incarnation, event.seq)
            case Acked():
                site.acked = event.order
            case FileLost():
                site.has_file = False
            case FencerStarted():
                site.blind = not site.has_file
            case Rebooted():
                site.closes.clear()
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
    else:
        until = "has no deadline" if close_at is None else f"was good for {close_at - event.own_s:.1f} s more"
        text = f"{event.site} ended it ({cause}) at {event.epoch}; its permission {until}"
        verdict.found(event.at, text, event.hub, (event.site,))
