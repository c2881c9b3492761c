"""The leader's memory of what agents report. It is never stored: agents send it again after a change of leader.

Also remembers, per hub, what was seen from outside (the edge, the name). All times are the leader's own monotonic
clock: wall clocks of other hosts are never compared (DESIGN.md 4.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from federation.api.v1 import agent_pb2
from federation.core.operation_facts import Seen
from federation.model.identity import Epoch
from federation.runtime.clock import Clock

REPORT_HOLDS_S = 15.0  # agents give a sign of life every 5 s


@dataclass(slots=True)
class SiteMemory:
    """The newest report of one site."""

    incarnation: int
    at_mono: float
    report: agent_pb2.SiteReport
    hubs: dict[str, agent_pb2.HubReport]


@dataclass(frozen=True, slots=True)
class NameSeen:
    """The last look at a hub's names from outside. `problem`: why they do not lead to the owner's edge; `looked` False:
    nobody could tell. `sight`: what was seen, if they do. `unwritable`: why they cannot be changed now. `epoch`: of the
    ownership that was compared; a look says nothing of a later owner."""

    leads_here: bool
    problem: str
    at_mono: float = field(compare=False)
    looked: bool = True
    sight: str = ""
    unwritable: str = ""
    epoch: Epoch | None = None


@dataclass(slots=True)
class Observations:
    """Filled by sessions, read by the leader's loops. `listeners` are told which hub or site changed."""

    clock: Clock
    sites: dict[str, SiteMemory] = field(default_factory=dict)
    names: dict[str, NameSeen] = field(default_factory=dict)
    unmoved: dict[str, str] = field(default_factory=dict)  # hubs that are not seen from outside -> why they stay
    listeners: list[Callable[[str, str], None]] = field(default_factory=list)
    _since_mono: float = 0.0
    _parts: dict[str, tuple[int, list[agent_pb2.HubReport]]] = field(default_factory=dict)

    def record(self, site: str, incarnation: int, observed: agent_pb2.Observed) -> None:
        """Take a report. Those of an older incarnation are dropped; so are changes before the incarnation's first
        whole report, because absence of a hub may be concluded from a whole report only."""
        known = self.sites.get(site)
        if known is not None and known.incarnation > incarnation:
            return
        parts = self._parts.pop(site, None)
        if not observed.whole and parts is not None and parts[0] == incarnation:
            whole, reports = True, [*parts[1], *observed.hubs]
        else:
            whole, reports = observed.whole, list(observed.hubs)
        if whole and observed.more:
            self._parts[site] = (incarnation, reports)
            return
        if not whole and (known is None or known.incarnation < incarnation):
            return
        before = known.hubs if known is not None else {}
        hubs = {} if whole else dict(before)
        hubs.update((report.hub, report) for report in reports)
        for hub in observed.gone:
            hubs.pop(hub, None)
        self.sites[site] = SiteMemory(incarnation, self.clock.mono(), observed.site, hubs)
        for hub in before.keys() | hubs.keys():
            if before.get(hub) != hubs.get(hub):
                self._tell(site, hub)
        self._tell(site, "")

    def site(self, site: str) -> SiteMemory | None:
        """The newest report, unless the site has been silent for so long that it says nothing about now (I9)."""
        memory = self.sites.get(site)
        fresh = memory is not None and self.clock.mono() - memory.at_mono <= REPORT_HOLDS_S
        return memory if fresh else None

    def too_early(self, site: str) -> bool:
        """The term is so young that the silence of a site means nothing yet: what was recorded before stays."""
        return self.site(site) is None and self.clock.mono() - self._since_mono < REPORT_HOLDS_S

    def hub_at(self, site: str, hub: str) -> agent_pb2.HubReport | None:
        """The site's report of the hub; an empty report if the site reported and does not have it; None if silent."""
        memory = self.site(site)
        if memory is None:
            return None
        return memory.hubs.get(hub) or agent_pb2.HubReport(hub=hub, phase="stopped")

    def seen(self, site: str, hub: str, epoch: Epoch) -> Seen | None:
        """The report in the words of `core.operations`."""
        report = self.hub_at(site, hub)
        if report is None:
            return None
        return Seen(
            epoch_matches=(report.epoch.era, report.epoch.n) == (epoch.era, epoch.n),
            generation=report.generation,
            phase=report.phase,
            gate_open=report.gate_open,
            processes=report.processes,
            message=report.message,
            homes=report.homes,
            draining=report.draining,
            servers=report.servers,
            active_servers=report.active_servers,
            released=(report.released.era, report.released.n) == (epoch.era, epoch.n),
        )

    def name_at(self, hub: str, epoch: Epoch) -> NameSeen | None:
        """The last look at its names since the hub has its owner of now."""
        name = self.names.get(hub)
        return name if name is not None and name.epoch == epoch else None

    def forget_all(self) -> None:
        """A new term of leadership starts from nothing."""
        self.sites.clear()
        self.names.clear()
        self.unmoved.clear()
        self._parts.clear()
        self._since_mono = self.clock.mono()

    def _tell(self, site: str, hub: str) -> None:
        for listener in self.listeners:
            listener(site, hub)


@dataclass(slots=True)
class Sightings:
    """When this replica saw each site's lease change, on its own monotonic clock (first sight, DESIGN.md 4.2)."""

    clock: Clock
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)  # found in the first listing: nobody knows how old it is

    def listed(self, site: str, revision: int) -> None:
        """The first listing has the site's lease at `revision`: a later one will say that the site lives."""
        if site not in self._seen:
            self._seen[site] = (revision, self.clock.mono())
            self._listed.add(site)

    def saw(self, site: str, revision: int) -> None:
        """The mirror shows the site's lease at `revision`; only a newer one counts."""
        known = self._seen.get(site)
        if known is None or revision > known[0]:
            self._seen[site] = (revision, self.clock.mono())
            self._listed.discard(site)

    def changed_within(self, site: str, seconds: float) -> bool:
        """Whether the site may have renewed in the last `seconds`; what is not known counts as yes."""
        known = self._seen.get(site)
        return known is not None and self.clock.mono() - known[1] < seconds

    def age_s(self, site: str) -> float | None:
        """Seconds since the newest renewal was first seen here; None: none was seen since this replica started."""
        known = self._seen.get(site)
        return None if known is None or site in self._listed else self.clock.mono() - known[1]
