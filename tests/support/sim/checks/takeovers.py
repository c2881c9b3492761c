"""(5) Every takeover: the lease that was counted is the lease as it is; L has passed on the leader's clock since its own
first sight of it, since its election and since every gap in its reading; the owner had heard that it was armed; and the
target is alive and known to the owner (PROTOCOL.md H2, H4, H5, H11, H15)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import Elected, History, LeasesRead, Owner, Refused, TakenOver, Times

NAME = "5 takeover"
TINY_S = 1e-6
OWNED_S = 6.0  # a leader's copy of who owns what may be behind by so much


@dataclass(slots=True)
class Leader:
    """What one coordinator has read in this term: site -> (lease revision, first sight by its clock). `before`: the same
    before its last gap, and since when (by its clock) that does not count any more."""

    sights: dict[str, tuple[int, float]] = field(default_factory=dict)
    read_s: float | None = None
    before: dict[str, tuple[int, float]] = field(default_factory=dict)
    gap_s: float = -1e9

    def seen_at(self, own_s: float) -> dict[str, tuple[int, float]]:
        """What counted when a transaction was sent; it may have been under way when the gap was noticed."""
        return self.before if own_s < self.gap_s else self.sights

    def read(self, event: LeasesRead, times: Times) -> None:
        gap = self.read_s is None or event.own_s - self.read_s > 1.5 * times.renew_s + TINY_S
        if gap:
            self.before, self.sights, self.gap_s = self.sights, {}, event.own_s
        self.read_s = event.sent_s
        for site, revision in event.revisions.items():
            if self.sights.get(site, (0, 0.0))[0] != revision:
                self.sights[site] = (revision, event.own_s)


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    leaders: dict[str, Leader] = {}
    owned: dict[str, tuple[str, float]] = {}  # hub -> (owner, since)
    for event in history.events:
        match event:
            case Elected(by=by):
                leaders[by] = Leader()
            case LeasesRead(by=by):
                leaders.setdefault(by, Leader()).read(event, history.times)
            case Owner(hub=hub, owner=owner):
                owned[hub] = (owner, event.at)
            case Refused():
                verdict.counts["refused takeovers"] += 1
            case TakenOver(by=by):
                verdict.counts["takeovers"] += 1
                for text in _wrong(event, leaders.setdefault(by, Leader()), history.times):
                    verdict.found(event.at, text, event.hub, (event.source, event.target))
                _frozen(verdict, event, leaders[by], owned, history.times)
    return verdict.done()


def _wrong(event: TakenOver, leader: Leader, times: Times) -> list[str]:
    found = []
    if event.counted != event.lease or not event.counted:
        found.append(f"the transaction compared lease {event.counted}, {event.source}'s lease is {event.lease}")
    sights = leader.seen_at(event.sent_s)
    revision, sight_s = sights.get(event.source, (0, event.sent_s))
    if event.sent_s - sight_s < times.takeover_s - TINY_S:
        waited = f"{event.sent_s - sight_s:.2f} s after its first sight of lease {revision}"
        found.append(f"{event.by} took over {waited}, L is {times.takeover_s:g} s")
    if not event.heard:
        found.append(f"{event.source} has not said that it heard that it is armed")
    seen = sights.get(event.target)
    if seen is None or event.sent_s - seen[1] > 2 * times.renew_s + 2.0:
        silent = "never" if seen is None else f"{event.sent_s - seen[1]:.1f} s ago"
        found.append(f"the target {event.target} was heard {silent}")
    if event.target_since > event.members_ack:
        found.append(f"{event.source} does not know {event.target}: it acknowledged members {event.members_ack}")
    return found


def _frozen(
    verdict: Verdict, event: TakenOver, leader: Leader, owned: dict[str, tuple[str, float]], times: Times
) -> None:
    """More than one silent site that owns hubs: nothing moves."""
    with_hubs = {owner for owner, since in owned.values() if owner and event.at - since > OWNED_S}
    silent = [
        site for site, (_, sight_s) in sorted(leader.seen_at(event.sent_s).items())
        if site in with_hubs and event.sent_s - sight_s > times.takeover_s + 2 * times.renew_s
    ]  # fmt: skip
    if len(silent) > 1:
        text = f"{event.by} took over while {' and '.join(silent)} were silent"
        verdict.found(event.at, text, event.hub, tuple(silent))
