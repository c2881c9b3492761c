"""(1) One copy: a hub is served, and runs, at one site at a time, and not at all at a site that it was taken from.

What a paused machine does after it goes on is counted apart: no L covers that (PROTOCOL.md section 5). A site whose peers
have promised may serve on after it was taken over from: then the promise keeps the others closed, and (4) judges it. An
agent that hangs in the middle of a start finishes it when it goes on: nobody is let in, and agent or fencer must have ended
it within W.
"""

from __future__ import annotations

from collections import defaultdict

from tests.support.sim.checks.promises import Ends
from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import (
    Event,
    Gate,
    History,
    Hub,
    LeaseFile,
    MachinePause,
    Owner,
    Pair,
    TakenOver,
    Times,
    WentOn,
)
from tests.support.sim.history_promises import RoundBegun

NAME = "1 one copy"
SLOW_S = 0.5  # what a slow clock makes of D, F and W
LATE_S = 0.2  # so soon after its agent went on a start is one that it was in the middle of
PAUSED_S = 40.0  # so long after a machine's pause what happens there is exposure, not a violation


def check(history: History) -> Verdict:  # noqa: C901, PLR0912, PLR0915 - one table
    verdict = Verdict(NAME)
    served: dict[str, dict[str, Pair]] = defaultdict(dict)
    running: dict[str, dict[str, Pair]] = defaultdict(dict)
    lost: dict[tuple[str, str], float] = {}  # (hub, site) -> since when it was taken from there
    paused: dict[str, float] = {}
    woken: dict[str, float] = {}  # agent -> when it went on
    late: dict[tuple[str, str], tuple[Hub, str, tuple[str, ...]]] = {}  # starts that are to be ended within W
    ends = Ends(history.times.contact_s)
    promised: dict[tuple[str, str], float] = {}  # (hub, site) -> until when it may run there by a round, true time

    def report(event: Event, hub: str, site: str, text: str, sites: tuple[str, ...]) -> None:
        if any(event.at - paused.get(s, -1e9) < PAUSED_S for s in sites):
            verdict.counts["exposed by a paused machine"] += 1
        elif isinstance(event, Hub) and event.at - woken.get(f"agent-{site}", -1e9) < LATE_S:
            late[hub, site] = event, text, sites
        else:
            verdict.found(event.at, text, hub, sites)

    for event in history.events:
        match event:
            case RoundBegun():
                ends.begun(event)
            case LeaseFile(site=site):
                promised |= _promised(event, ends, history.times)
            case MachinePause(at=at, site=site):
                paused[site] = at
            case Gate(hub=hub, site=site):
                if _changes(served[hub], site, event.epoch, event.open):
                    taken = {} if event.at < promised.get((hub, site), 0.0) else lost
                    _judge(report, event, served[hub], taken, "served")
            case WentOn(at=at, process=process):
                woken[process] = at
            case Hub(hub=hub, site=site):
                began = late.pop((hub, site), None)
                if began is not None and event.at - began[0].at > history.times.fencer_s:
                    verdict.found(began[0].at, began[1], hub, began[2])
                verdict.counts["late starts that were ended"] += int(began is not None)
                if _changes(running[hub], site, event.epoch, event.up):
                    taken = {} if event.at < promised.get((hub, site), 0.0) else lost
                    _judge(report, event, running[hub], taken, "running")
            case TakenOver(hub=hub, source=site):
                lost[hub, site] = event.at
                words = [word for table, word in ((served, "served"), (running, "running")) if site in table[hub]]
                if event.at < promised.get((hub, site), 0.0):
                    verdict.counts["served on by promises"] += len(words)
                    continue
                for word in words:
                    report(event, hub, site, f"taken over from {site} while it was still {word} there", (site,))
            case Owner(hub=hub, owner="", tombstone=False):
                _judge_release(report, event, served[hub], running[hub])
            case Owner(hub=hub, owner=site):
                lost.pop((hub, site), None)
    for start, text, sites in late.values():
        verdict.found(start.at, text, start.hub, sites)
    return verdict.done()


def _promised(event: LeaseFile, ends: Ends, times: Times) -> dict[tuple[str, str], float]:
    """What is open in this file by a round in which peers promised, and until when its hub may run: F and W longer."""
    site, more_s = event.site, times.fence_s + times.fencer_s + SLOW_S
    return {
        (hub, site): event.at + (close_at or 0.0) - event.own_s + more_s
        for hub, (epoch, close_at, _) in event.permits.items()
        if ends.of_a_round(site, hub, epoch, close_at)
    }


def _judge_release(report: object, event: Owner, served: dict[str, Pair], running: dict[str, Pair]) -> None:
    """A hub that nobody owns runs nowhere: its owner said so before it was released."""
    assert callable(report)
    for table, word in ((served, "served"), (running, "running")):
        for site in [*table]:
            report(event, event.hub, site, f"released while it was still {word} at {site}", (site,))


def _changes(table: dict[str, Pair], site: str, epoch: Pair, begins: bool) -> bool:
    if begins:
        table[site] = epoch
    else:
        table.pop(site, None)
    return begins


def _judge(
    report: object, event: Gate | Hub, table: dict[str, Pair], lost: dict[tuple[str, str], float], word: str
) -> None:
    assert callable(report)
    others = tuple(sorted(site for site in table if site != event.site))
    if others:
        where = ", ".join(f"{site} at {table[site]}" for site in others)
        report(
            event,
            event.hub,
            event.site,
            f"{word} at {event.site} at {event.epoch} and at {where}",
            (event.site, *others),
        )
    elif (event.hub, event.site) in lost:
        report(
            event, event.hub, event.site, f"{word} at {event.site} after it was taken over from there", (event.site,)
        )
