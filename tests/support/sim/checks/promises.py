"""(4) The failsafe: no yes of a site to which the hub is its own, no start while a promise runs, and no deadline by a round
unless every other member that the asker has acknowledged promised in that very round (PROTOCOL.md H5, H9, H10).

A promise lasts for L by the clock of who gave it, and one that was not over in full again from a boot on. That it was in a
journal that is lost changes nothing: what it protects may still run elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import Answered, Gate, History, Hub, Journaled, LeaseFile, Pair, Rebooted, RenewalSent
from tests.support.sim.history_promises import Peer, Promised, PromiseHeard, RoundBegun

NAME = "4 promises"
TINY_S = 1e-4


@dataclass(slots=True)
class Round:
    sent_s: float
    hubs: dict[str, Pair]
    said: dict[Peer, frozenset[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Site:
    """`promised`: hub -> until when by the site's clock. `sent`: when its renewals left; a grant counts from there,
    and may be the very moment at which a round left."""

    accepted: dict[str, Pair] = field(default_factory=dict)
    members: frozenset[Peer] = frozenset()
    promised: dict[str, float] = field(default_factory=dict)
    running: dict[str, Pair] = field(default_factory=dict)
    rounds: dict[int, Round] = field(default_factory=dict)
    judged: set[tuple[str, float]] = field(default_factory=set)
    sent: dict[Pair, float] = field(default_factory=dict)
    granted: set[float] = field(default_factory=set)


def check(history: History) -> Verdict:  # noqa: C901 - one table
    verdict, whole_s, contact_s = Verdict(NAME), history.times.takeover_s, history.times.contact_s
    sites: dict[str, Site] = defaultdict(Site)
    for event in history.events:
        site = sites[getattr(event, "site", "")]
        match event:
            case Journaled(lost=True):
                site.accepted = {}
            case Journaled():
                site.accepted, site.members = dict(event.accepted), event.members
            case Rebooted():
                site.promised = {h: whole_s for h, until_s in site.promised.items() if until_s > event.own_s}
            case RoundBegun():
                site.rounds[event.nonce] = Round(event.own_s, dict(event.hubs))
            case PromiseHeard(nonce=nonce) if nonce in site.rounds:
                site.rounds[nonce].said[event.peer] = event.hubs
            case Promised():
                _answered(verdict, site, event, whole_s)
            case Hub(up=True) | Gate(open=True):
                _begun(verdict, site, event)
            case Hub():
                site.running.pop(event.hub, None)
            case LeaseFile():
                _extended(verdict, site, event, contact_s)
            case RenewalSent():
                site.sent[event.incarnation, event.seq] = event.own_s
            case Answered(granted=True):
                site.granted.add(site.sent.get((event.incarnation, event.seq), -1.0))
    return verdict.done()


def _answered(verdict: Verdict, site: Site, event: Promised, whole_s: float) -> None:
    hub, where = event.hub, (event.site, event.asker)
    verdict.counts["promises" if event.yes else "refused promises"] += 1
    if not event.yes:
        return
    if site.accepted.get(hub, (-1, -1)) >= event.epoch:
        text = f"{event.site} promised {event.asker} not to open {event.epoch}, and had accepted {site.accepted[hub]}"
        verdict.found(event.at, text, hub, where)
    if site.running.get(hub, (-1, -1)) >= event.epoch:
        text = f"{event.site} promised {event.asker} not to open {event.epoch} while it ran {site.running[hub]}"
        verdict.found(event.at, text, hub, where)
    site.promised[hub] = max(event.own_s + whole_s, site.promised.get(hub, 0.0))


def _begun(verdict: Verdict, site: Site, event: Hub | Gate) -> None:
    if isinstance(event, Hub):
        site.running[event.hub] = event.epoch
    left_s = site.promised.get(event.hub, 0.0) - event.own_s
    if left_s > TINY_S:
        word = "opened" if isinstance(event, Gate) else "started"
        text = f"{event.site} {word} {event.epoch} with {left_s:.2f} s of its promise left"
        verdict.found(event.at, text, event.hub, (event.site,))


def _extended(verdict: Verdict, site: Site, event: LeaseFile, contact_s: float) -> None:
    """A deadline that counts from the send of a round. Those of grants are judged by (3)."""
    for hub, (epoch, close_at, _stop_by) in event.permits.items():
        if close_at is None or (hub, close_at) in site.judged:
            continue
        asked = round_of(close_at, hub, epoch, site.rounds, contact_s)
        if asked is None or any(abs(asked.sent_s - sent_s) < TINY_S for sent_s in site.granted):
            continue
        site.judged.add((hub, close_at))
        verdict.counts["extensions by promises"] += 1
        others = {peer for peer in site.members if peer[0] != event.site}
        missing = sorted(peer[0] for peer in others if hub not in asked.said.get(peer, ()))
        if missing or not others:
            silent = f"{', '.join(missing)} did not promise" if missing else "there was nobody to promise"
            text = f"{event.site} extended {epoch} by a round in which {silent}"
            verdict.found(event.at, text, hub, (event.site, *missing))


def round_of(close_at: float, hub: str, epoch: Pair, rounds: dict[int, Round], contact_s: float) -> Round | None:
    """The round that this deadline counts from."""
    for asked in reversed(rounds.values()):
        if abs(asked.sent_s + contact_s - close_at) < TINY_S and asked.hubs.get(hub) == epoch:
            return asked
        if asked.sent_s + contact_s < close_at - contact_s:
            break
    return None


@dataclass(slots=True)
class Ends:
    """For the checkers of grants: which deadlines count from the send of a round."""

    contact_s: float
    _sent: dict[tuple[str, str, Pair], list[float]] = field(default_factory=lambda: defaultdict(list))

    def begun(self, event: RoundBegun) -> None:
        for hub, epoch in event.hubs.items():
            self._sent[event.site, hub, epoch].append(event.own_s)

    def of_a_round(self, site: str, hub: str, epoch: Pair, close_at: float | None) -> bool:
        if close_at is None:
            return False
        sent = self._sent.get((site, hub, epoch), ())[-20:]
        return any(abs(sent_s + self.contact_s - close_at) < TINY_S for sent_s in sent)
