"""What an outage costs: outages of each kind in turns, and planned moves.

Sites are killed and frozen on one machine by `fedctl lab`; they are cut off on three hosts of their own network, as root.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from federation.model.profile import PROFILES, ProfileName
from tests.bench.failover_page import AT_ONCE, KINDS, hits_leader, lines, medians, planned
from tests.bench.outages import EVERY_MINUTE, ONLOOKER_S, OTHER, Faults, Loss, moved, outage
from tests.bench.timeline import timeline
from tests.support.federation import Federation, federation, until
from tests.support.leader import leader
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges
from tests.support.three_hosts import OFFICE, ThreeHosts, three_hosts

PHASES = 6  # the newest copy is not always of the same age
SITES = ("iu", "tacc")
COORDINATORS = {"c1": "iu", "c2": "tacc", "c3": "witness"}


@dataclass(frozen=True, slots=True)
class OneMachine:
    """`Faults` of a federation that `fedctl up` started."""

    here: Federation

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
    """`runs` classes of each kind, a few at a time: the page's lines, and the picture `PICTURE`."""
    turns = -(-runs // AT_ONCE)
    found: dict[str, list[Loss]] = {kind: [] for kind in KINDS}
    with federation() as here:
        for turn in range(turns):
            for kind in (kind for kind in KINDS if not kind.startswith("cut")):
                found[kind] += one_turn(OneMachine(here), kind, turn)
    if os.geteuid() == 0:
        with three_hosts() as hosts:
            for turn in range(turns):
                for kind in (kind for kind in KINDS if kind.startswith("cut")):
                    found[kind] += one_turn(RealLines(hosts), kind, turn)
    profile = PROFILES[ProfileName.LAB]
    rows = {KINDS[kind]: medians(losses) for kind, losses in found.items() if not planned(kind) and losses}
    return lines(found, profile), timeline(rows, profile)


def one_turn(faults: Faults, kind: str, turn: int) -> list[Loss]:
    """Fresh classes: one is moved by itself once an hour at most."""
    print(f"bench: failover, {kind} {turn + 1}", flush=True)
    site = with_leader(faults) if hits_leader(kind) else without_leader(faults)
    with ExitStack() as stack:
        spec = {"storage": EVERY_MINUTE, "placement": {"allow": list(SITES), "prefer": site}}
        names = [f"{kind}{turn}{n}" for n in range(AT_ONCE)]
        words = {name: stack.enter_context(faults.here.placed(name, **spec)) for name in names}
        if planned(kind):
            losses = moved(faults, site, words)
        else:
            losses = outage(faults, kind, site, words, 60 / PHASES * (turn % PHASES))
    for loss in losses:  # a later turn may fail, and this was seen
        print(f"bench: {loss}", flush=True)
    return losses


def with_leader(faults: Faults) -> str:
    """A site whose coordinator leads: the witness's campaigns first, so it is away for a while."""
    here = faults.here
    if leads_at(here) not in SITES:
        with faults.without_coordinator("witness"):
            until(lambda: leads_at(here) in SITES, "a site's coordinator leads", 60, here.logs)
    return leads_at(here)


def without_leader(faults: Faults) -> str:
    """A site while the witness's coordinator leads."""
    here = faults.here
    while (place := leads_at(here)) != "witness":
        if place in SITES:
            with faults.without_coordinator(place):
                until(lambda: leads_at(here) not in ("", place), "another one leads", 60, here.logs)
    return SITES[0]


def leads_at(here: Federation) -> str:
    """Where the leader is; empty: nobody leads."""
    return COORDINATORS.get(leader(here), "")
