"""(3) Nothing but a grant opens: of this hub at this epoch, heard in this boot, not after a higher epoch was heard, never
at an epoch that the site has given up, and for a hub that the register counts as armed no later than the send of the
renewal + D, by the site's clock; or of a round in which all peers promised (4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.sim.checks.promises import Ends
from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import (
    ARMED,
    Acked,
    Answered,
    FencerStarted,
    FileLost,
    Gate,
    History,
    Journaled,
    LeaseFile,
    Pair,
    Rebooted,
    RenewalSent,
    Run,
    Times,
)
from tests.support.sim.history_promises import RoundBegun

NAME = "3 permission"
TINY_S = 1e-4


@dataclass(slots=True)
class Site:
    """What was sent and heard there."""

    sent: dict[tuple[int, int], float] = field(default_factory=dict)
    granted: set[tuple[str, Pair]] = field(default_factory=set)
    ends: dict[tuple[str, Pair], list[float]] = field(default_factory=dict)  # of armed grants: send + D
    revoked: dict[str, Pair] = field(default_factory=dict)
    released: dict[str, Pair] = field(default_factory=dict)  # by its journal
    ended: dict[str, Pair] = field(
        default_factory=dict
    )  # the same: what a full disk did not take is forgotten in a boot
    heard: dict[str, Pair] = field(default_factory=dict)  # hubs that the register counts as armed and heard
    answered: int = 0  # seq of the newest answer that came
    order: Pair = (-1, -1)  # (incarnation, seq) of the newest lease file in this boot
    acked: Pair = (-1, -1)  # of the newest one that the fencer has taken
    file_lost: bool = False  # with its agent, and not written again yet

    @property
    def least(self) -> Pair:
        """What the next file must not be below: once file and agent are gone, nobody knows more than the fencer."""
        return self.acked if self.file_lost else self.order

    def written(self, order: Pair) -> None:
        self.order, self.file_lost = order if self.file_lost else max(order, self.order), False

    def take(self, answer: Answered, times: Times) -> None:
        self.answered = answer.seq
        for hub, epoch in answer.revoked.items():
            self.revoked[hub] = max(epoch, self.revoked.get(hub, epoch))
        sent_s = self.sent.get((answer.incarnation, answer.seq))
        for hub, grant in answer.grants.items() if answer.granted and sent_s is not None else ():
            self.granted.add((hub, grant.epoch))
            if grant.mode == ARMED and sent_s is not None:
                self.ends.setdefault((hub, grant.epoch), []).append(sent_s + times.contact_s)

    def too_late(self, hub: str, epoch: Pair, own_s: float) -> str:
        """Why an armed hub must not be open at this moment."""
        end_s = max(self.ends.get((hub, epoch), ()), default=0.0)
        if self.heard.get(hub) == epoch and own_s > end_s + TINY_S:
            return f"open {own_s - end_s:.3f} s after the send of the newest armed grant that was heard + D"
        return ""


def check(history: History) -> Verdict:  # noqa: C901, PLR0912 - one table
    verdict, rounds = Verdict(NAME), Ends(history.times.contact_s)
    sites: dict[str, Site] = {}
    for event in history.events:
        site = sites.setdefault(getattr(event, "site", ""), Site())
        match event:
            case RoundBegun():
                rounds.begun(event)
            case RenewalSent():
                site.sent[event.incarnation, event.seq] = event.own_s
            case Answered():
                site.take(event, history.times)
            case Rebooted():
                site.granted.clear()
                site.ends.clear()
                site.revoked = dict(site.ended)
                site.order = site.acked = (-1, -1)
            case FileLost():
                site.file_lost = True
            case FencerStarted() if site.file_lost:  # nobody is left who knows how new the last one was
                site.acked = (-1, -1)
            case Acked():
                site.acked = max(event.order, site.acked)
            case Journaled():
                site.released, site.ended = dict(event.released), dict(event.ended)
            case Run():
                if event.epoch is not None and event.armed and event.heard:
                    site.heard[event.hub] = event.epoch
                elif event.epoch is not None:
                    site.heard.pop(event.hub, None)
            case Gate():
                _gate(verdict, site, event)
            case LeaseFile():
                _file(verdict, site, event, history.times, rounds)
    return verdict.done()


def _gate(verdict: Verdict, site: Site, event: Gate) -> None:
    where = (event.site,)
    if late := site.too_late(event.hub, event.epoch, event.own_s):
        verdict.found(event.at, f"{event.site}: {late}", event.hub, where)
    if not event.open:
        return
    if (event.hub, event.epoch) not in site.granted:
        verdict.found(event.at, f"{event.site} opened {event.epoch} without a grant of it", event.hub, where)
    elif site.revoked.get(event.hub, (-1, -1)) > event.epoch:
        heard = site.revoked[event.hub]
        verdict.found(event.at, f"{event.site} opened {event.epoch} after it heard of {heard}", event.hub, where)
    elif site.released.get(event.hub, (-1, -1)) >= event.epoch:
        verdict.found(event.at, f"{event.site} opened {event.epoch}, which it had given up", event.hub, where)


def _file(verdict: Verdict, site: Site, event: LeaseFile, times: Times, rounds: Ends) -> None:
    order = (event.incarnation, event.seq)
    if order < site.least and event.incarnation == site.least[0] and event.seq:
        verdict.found(event.at, f"{event.site}'s file went back from {site.least} to {order}", sites=(event.site,))
    site.written(order)
    for hub, (epoch, close_at, stop_by) in event.permits.items():
        if site.revoked.get(hub, (-1, -1)) > epoch and site.answered == event.seq:
            verdict.found(
                event.at, f"{event.site}'s file has a hub that ended at {site.revoked[hub]}", hub, (event.site,)
            )
        if site.released.get(hub, (-1, -1)) >= epoch:
            verdict.found(event.at, f"{event.site}'s file has a hub that was given up at {epoch}", hub, (event.site,))
        ended = close_at == stop_by and close_at is not None and close_at <= event.own_s
        if close_at is None or ended:  # closed and ended at once: an agent did not believe what an old file said
            continue
        if rounds.of_a_round(event.site, hub, epoch, close_at):  # whether all promised in it is judged by (4)
            site.granted.add((hub, epoch))
            site.ends.setdefault((hub, epoch), []).append(close_at)
        ends = site.ends.get((hub, epoch), ())
        if not any(abs(close_at - end_s) < TINY_S for end_s in ends):
            ahead = f"; the nearest is {min((abs(close_at - e) for e in ends), default=0):.3f} s off" if ends else ""
            verdict.found(
                event.at, f"{event.site}'s file has a deadline that no armed grant gave{ahead}", hub, (event.site,)
            )
        elif stop_by is None or stop_by - close_at > times.fence_s + TINY_S:
            verdict.found(event.at, f"{event.site}'s file lets it run on for longer than F", hub, (event.site,))
