"""What an outage costs: outages of each kind in turns, and planned moves.

Sites are killed and frozen on one machine by `fedctl lab`; they are cut off on three hosts of their own network, as root.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from federation.model.profile import PROFILES, ProfileName
from tests.bench.failover_page import AT_ONCE, KINDS, hits_leader, lines, medians, planned
from tests.bench.outages import EVERY_MINUTE, ONLOOKER_S, OTHER, SELDOM_S, Faults, Loss, moved, outage
from tests.bench.quiet import Quiet
from tests.bench.seen_outages import Seen, Sitting, read, sittings
from tests.bench.timeline import timeline
from tests.support.federation import Federation, federation, until
from tests.support.leader import leader
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges
from tests.support.three_hosts import OFFICE, ThreeHosts, have_programs, three_hosts

PHASES = 6  # the newest copy is not always of the same age
SITES = ("iu", "tacc")
COORDINATORS = {"c1": "iu", "c2": "tacc", "c3": "witness"}


@dataclass(frozen=True, slots=True)
class OneMachine:
    """`Faults` of a federation that `fedctl up` started."""

    here: Federation
    quiet: Quiet

    def fault(self, kind: str, site: str) -> None:
        self.here.lab("freeze" if kind.startswith("freeze") else "kill", site)

    def mend(self, site: str) -> None:
        self.here.lab("heal", site)

    @contextmanager
    def without_coordinator(self, place: str) -> Iterator[None]:
        self.here.lab("kill", place, "--only", "coordinator")
        try:
            yield
        finally:
            self.here.lab("heal", place)

    @contextmanager
    def watched(self, name: str, site: str) -> Iterator[tuple[Onlooker, Onlooker]]:
        looked_at, host = edges(self.here), f"{name}.localhost"
        with (
            Onlooker({site: looked_at[site]}, host, ONLOOKER_S) as near,
            Onlooker({OTHER[site]: looked_at[OTHER[site]]}, host, ONLOOKER_S) as there,
        ):
            yield near, there


@dataclass(frozen=True, slots=True)
class RealLines:
    """`Faults` of three hosts, where nothing is killed."""

    here: ThreeHosts
    quiet: Quiet
    _cut: ExitStack = field(default_factory=ExitStack)

    def fault(self, kind: str, site: str) -> None:
        self._cut.enter_context(self.here.net.cut(*self.here.net.both_ways(site)))

    def mend(self, site: str) -> None:
        self._cut.close()

    @contextmanager
    def without_coordinator(self, place: str) -> Iterator[None]:
        process = self.here.daemons.running[place, "coordinator"]
        process.send_signal(signal.SIGSTOP)  # one that ended would be there again at once, and lead
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    @contextmanager
    def watched(self, name: str, site: str) -> Iterator[tuple[Onlooker, Onlooker]]:
        with self.here.watched(site, name, site) as near, self.here.watched(OFFICE, name, OTHER[site]) as there:
            yield near, there


def failover(runs: int) -> tuple[list[str], str]:
    """`runs` more classes of each kind, a few at a time: the page's lines of all that were seen so far, and the picture
    `PICTURE`. As root two federations take turns, the one of three hosts with what needs real lines: a run lasts half as
    long, and it is as quiet."""
    if runs:
        sit(-(-runs // AT_ONCE))
    seen = read()
    found = {kind: [loss for one in seen if one.kind == kind for loss in one.losses] for kind in KINDS}
    profile = PROFILES[ProfileName.LAB]
    rows = {KINDS[kind]: medians(losses) for kind, losses in found.items() if not planned(kind) and losses}
    return [*lines(found, profile), "", sittings(seen)], timeline(rows, profile)


def sit(turns: int) -> None:
    """One sitting: so many outages of each kind."""
    root = os.geteuid() == 0
    cut = [kind for kind in KINDS if kind.startswith("cut")]
    on_lines = [*cut, *(kind for kind in KINDS if planned(kind))] if root else []
    at_once = [kind for kind in KINDS if kind not in (*cut, *on_lines)]
    if root:
        have_programs()
    sitting = Sitting.now()
    with tempfile.NamedTemporaryFile() as lock, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        quiet = Quiet(Path(lock.name))
        parts = ((at_once, False), (on_lines, True))
        for done in [pool.submit(track, kinds, turns, quiet, sitting, real) for kinds, real in parts]:
            done.result()


def track(kinds: list[str], turns: int, quiet: Quiet, sitting: Sitting, real_lines: bool) -> None:
    """One federation's part. A turn that fails is said, and is not in the figures; the others go on."""
    if not kinds:
        return
    before = Counter(one.kind for one in read())  # the ages of the newest copy go on where the last sitting ended
    with ExitStack() as stack:
        with quiet.busy():
            here = stack.enter_context(three_hosts() if real_lines else federation())
        faults: Faults = RealLines(here, quiet) if isinstance(here, ThreeHosts) else OneMachine(here, quiet)
        for turn in range(turns):
            for kind in kinds:
                try:
                    losses = one_turn(faults, kind, before[kind] + turn)
                except AssertionError as error:
                    print(f"bench: FAILED, {kind} {turn + 1}: {str(error)[:2000]}", flush=True)
                else:
                    Seen(kind, sitting, tuple(losses)).write()


def one_turn(faults: Faults, kind: str, turn: int) -> list[Loss]:
    """Fresh classes: one is moved by itself once an hour at most."""
    print(f"bench: failover, {kind} {turn + 1}", flush=True)
    site = with_leader(faults) if hits_leader(kind) else without_leader(faults)
    with ExitStack() as stack:
        spec = {"storage": EVERY_MINUTE, "placement": {"allow": list(SITES), "prefer": site}}
        names = [f"{kind}{turn}{n}" for n in range(AT_ONCE)]
        with faults.quiet.busy():
            words = {name: stack.enter_context(faults.here.placed(name, **spec)) for name in names}
        if planned(kind):
            losses = moved(faults, site, words)
        else:
            losses = outage(faults, kind, site, words, 60 / PHASES * (turn % PHASES))
    print(f"bench: {kind} {turn + 1}: " + ", ".join(f"{loss.rto:.1f} s" for loss in losses), flush=True)
    return losses


def with_leader(faults: Faults) -> str:
    """A site whose coordinator leads: the witness's campaigns first, so it is away for a while."""
    here = faults.here
    if leads_at(here) not in SITES:
        with faults.without_coordinator("witness"):
            until(lambda: leads_at(here) in SITES, "a site's coordinator leads", 60, here.logs, SELDOM_S)
    return leads_at(here)


def without_leader(faults: Faults) -> str:
    """A site while the witness's coordinator leads."""
    here = faults.here
    while (place := leads_at(here)) != "witness":
        if place in SITES:
            with faults.without_coordinator(place):
                until(lambda: leads_at(here) not in ("", place), "another one leads", 60, here.logs, SELDOM_S)
    return SITES[0]


def leads_at(here: Federation) -> str:
    """Where the leader is; empty: nobody leads."""
    return COORDINATORS.get(leader(here), "")
