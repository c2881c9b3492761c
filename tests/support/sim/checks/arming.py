"""(5b) Arming: only a renewal arms, and a run counts as heard only after the site had processed an armed answer of this
run and its fencer had taken the file that came of it (PROTOCOL.md H15 a-c). A grant that was not taken up leaves the hub
out of the file, which is as good as a deadline if nothing of it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import Acked, History, Hub, LeaseFile, Pair, Run

NAME = "5b arming"


@dataclass(slots=True)
class Site:
    armed: dict[str, Pair] = field(default_factory=dict)  # hub -> its newest run's beginning
    heard: set[str] = field(default_factory=set)
    files: list[tuple[Pair, frozenset[str], frozenset[str]]] = field(default_factory=list)  # order, standing, armed
    running: set[str] = field(default_factory=set)
    acked: set[Pair] = field(default_factory=set)

    def knows(self, hub: str, since: Pair) -> bool:
        """Whether a file with a deadline of this run was written, and taken by the fencer."""
        return any(
            since <= order
            and order in self.acked
            and (hub in armed or (hub not in standing and hub not in self.running))
            for order, standing, armed in self.files
        )


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    sites: dict[str, Site] = {}
    for event in history.events:
        site = sites.setdefault(getattr(event, "site", ""), Site())
        match event:
            case LeaseFile():
                standing = frozenset(hub for hub, (_, close_at, _) in event.permits.items() if close_at is None)
                armed = frozenset(event.permits.keys() - standing)
                site.files.append(((event.incarnation, event.seq), standing, armed))
            case Hub(up=True):
                site.running.add(event.hub)
            case Hub():
                site.running.discard(event.hub)
            case Acked():
                site.acked.add(event.order)
            case Run():
                _judge(verdict, site, event)
    return verdict.done()


def _judge(verdict: Verdict, site: Site, event: Run) -> None:
    hub, where = event.hub, (event.site,)
    if not event.armed:
        site.armed.pop(hub, None)
        site.heard.discard(hub)
        return
    if site.armed.get(hub) != event.since and not event.renewed:
        verdict.found(event.at, f"armed at {event.site} by a write that is no renewal", hub, where)
    if event.heard and hub not in site.heard:
        if not site.knows(hub, event.since):
            text = f"{event.site} counts as having heard of run {event.since}, and its fencer has not"
            verdict.found(event.at, text, hub, where)
        site.heard.add(hub)
    site.armed[hub] = event.since
