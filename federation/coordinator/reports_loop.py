"""Writes what is worth keeping of the agents' reports, on change only: hub observations, rosters, sites.

Heartbeats never reach the register; what was seen is dated by the leader's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from federation.api.v1 import types_pb2
from federation.coordinator.copying import CopiesLoop
from federation.coordinator.events import Journalist
from federation.coordinator.observations import Observations, Sightings
from federation.coordinator.snapshot import Snapshot
from federation.core.conditions import HubFacts, conditions_of, phase_of
from federation.core.failsafe import unreachable
from federation.core.reachable import outside, reachable, servers_start
from federation.model.outlook import Outlook, Trial
from federation.model.ownership import Ownership
from federation.model.status import (
    Condition,
    ConditionType,
    HubObservation,
    HubPhase,
    Roster,
    RosterEntry,
    SiteRecord,
    Truth,
    changed_conditions,
)
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

KINDS, TRUTHS = {kind.value for kind in ConditionType}, {truth.value for truth in Truth}
LOOK_S = 5.0  # a site that fell silent makes no noise: look again by ourselves


@dataclass(slots=True)
class ReportsLoop:
    """Two loops over one memory: `reconcile_hub` and `reconcile_site`."""

    register: Register
    snapshot: Snapshot
    observations: Observations
    sightings: Sightings
    copies: CopiesLoop
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    url_of: Callable[[str], str]
    contact_s: float
    actor: str
    places: tuple[str, ...] = ()  # failure domains with a coordinator, which look at each other's classes

    def hub_keys(self) -> list[str]:
        """Every hub with an ownership record."""
        return [keys.tail(entry.key) for entry in self.snapshot.mirror.entries(keys.HUBS)]

    def site_keys(self) -> list[str]:
        """Every site that joined."""
        return [site.name for site in self.snapshot.sites()]

    async def reconcile_hub(self, hub: str) -> float | None:
        """Bring `observed/<hub>` and `roster/<hub>` to what is known now."""
        stored = self.snapshot.ownership(hub)
        if stored is None:
            return None
        ownership = stored.document
        before = self.snapshot.observation(hub)
        if before is not None and ownership.owner is not None and self.observations.too_early(ownership.owner):
            return 1.0
        wanted = self._observe(ownership, before.document if before else None)
        changes = Changes().only_if(self.leader_guard())
        if before is None or before.document != wanted:
            changes.unchanged(keys.observed(hub), before).put(keys.observed(hub), wanted)
            self._note(changes, before.document if before else None, wanted)
        self._add_roster(changes, ownership)
        if changes.puts:
            await self.register.commit(changes)
        settled = wanted.phase is HubPhase.RETIRED
        return None if settled else LOOK_S

    async def reconcile_site(self, name: str) -> float | None:
        """Bring `site/<name>` to what the agent reports of the site itself."""
        stored = self.snapshot.site(name)
        memory = self.observations.site(name)
        if stored is None:
            return None
        site = stored.document
        if site.conditions and self.observations.too_early(name):
            return 1.0
        report = memory.report if memory is not None else None
        conditions = [self._ready(name), *(read_conditions(report.conditions if report else ()))]
        wanted = site.revise(conditions=changed_conditions(site.conditions, tuple(conditions), self._now()))
        if report is not None:
            wanted = wanted.revise(
                cpu_millis=report.capacity.cpu_millis,
                memory_bytes=report.capacity.memory_bytes,
                edge_address=report.edge_address or site.edge_address,
                kind=report.kind or site.kind,
                version=report.version,
                hub_version=report.hub_version,
            )
        if wanted != site:
            await self._write_site(stored, wanted)
        return LOOK_S

    async def _write_site(self, stored: Stored[SiteRecord], wanted: SiteRecord) -> None:
        changes = Changes().only_if(self.leader_guard()).unchanged(stored.key, stored).put(stored.key, wanted)
        was, now = _truth(stored.document.conditions), _truth(wanted.conditions)
        if was is not now:
            message = next(c.message for c in wanted.conditions if c.type is ConditionType.READY)
            self.journalist.add(changes, f"site.ready.{now.value.lower()}", message, site=wanted.name, actor=self.actor)
        await self.register.commit(changes)

    def _observe(self, ownership: Ownership, before: HubObservation | None) -> HubObservation:
        hub, site = ownership.hub, ownership.owner or (ownership.earlier[-1].site if ownership.earlier else "")
        report = self.observations.hub_at(site, hub)
        name = self.observations.name_at(hub, ownership.epoch)
        home, generation = self.snapshot.home(hub), self.snapshot.in_force(hub)
        record = self.snapshot.classroom_of(hub)
        mode, memory = self.snapshot.wanted_mode(site, hub), self.observations.site(site)
        facts = HubFacts(
            ownership=ownership,
            owned=self.snapshot.owned(site, hub),
            wanted=mode.document if mode is not None else None,
            generation=record.document.generation if record is not None else 0,
            copy_=home.document if home is not None else None,
            copy_problem=self.copies.problem_of(hub),
            has_homes=generation is None or generation.classroom.spec.storage.protection is not None,
            unfenced=_unfenced(memory.report.conditions) if memory is not None else "",
            no_failsafe=self._no_failsafe(),
            seen=self.observations.seen(site, hub, ownership.epoch),
            silent_s=self.sightings.age_s(site),
            name_leads_here=name.leads_here if name and name.looked else None,
            name_problem=name.problem if name else "",
            name_sight=name.sight if name else "",
            name_unwritable=name.unwritable if name else "",
            outdated_servers=report.outdated_servers if report else 0,
            reported=read_conditions(report.conditions if report else ()),
            reachable=self._reachable(hub, site),
            servers_start=self._servers_start(hub, site),
        )
        wanted = self.snapshot.in_force(hub) if ownership.owner is not None else None
        conditions = changed_conditions(before.conditions if before else (), conditions_of(facts), self._now())
        return HubObservation(
            hub=hub,
            site=site,
            phase=phase_of(facts),
            generation=report.generation if report else 0,
            url=self.url_of(wanted.classroom.spec.dns.host) if wanted else "",
            conditions=conditions,
            servers=report.servers if report else 0,
            outdated_servers=report.outdated_servers if report else 0,
            homes=report.homes if report and report.epoch.era else before.homes if before else "",
        )

    def _reachable(self, hub: str, site: str) -> Condition | None:
        said = [s.document for s in self.snapshot.under(keys.outlooks_of(hub), Outlook)]
        return self._with_why(hub, reachable(outside(self.places, site), site, said))

    def _servers_start(self, hub: str, site: str) -> Condition | None:
        said = [s.document for s in self.snapshot.under(keys.trials_of(hub), Trial)]
        return self._with_why(hub, servers_start(outside(self.places, site), site, said))

    def _with_why(self, hub: str, condition: Condition | None) -> Condition | None:
        """What other places see, and why the class stays all the same."""
        stays = self.observations.unmoved.get(hub)
        if condition is None or condition.status is not Truth.FALSE or not stays:
            return condition
        return condition.revise(message=f"{condition.message}; it is not moved: {stays}")

    def _no_failsafe(self) -> str:
        """What is true of armed hubs while not every site can be asked by the others."""
        why = unreachable(self.snapshot.members().members)
        return f"no failsafe, {why}: an outage of all coordinators closes it after {self.contact_s:g} s" if why else ""

    def _add_roster(self, changes: Changes, ownership: Ownership) -> None:
        report = self.observations.hub_at(ownership.owner or "", ownership.hub)
        if report is None or not report.roster:
            return  # an empty roster is a hub that could not be asked, never a class without students
        users = tuple(RosterEntry(name=u.name, admin=u.admin) for u in report.roster)
        before = self.snapshot.roster(ownership.hub)
        if before is None or before.document.users != users:
            key = keys.roster(ownership.hub)
            changes.unchanged(key, before).put(key, Roster(hub=ownership.hub, users=users))

    def _note(self, changes: Changes, before: HubObservation | None, now: HubObservation) -> None:
        if before is None or before.phase is not now.phase:
            message = f"{before.phase.value if before else 'new'} -> {now.phase.value}"
            kind = f"hub.{now.phase.value.lower()}"
            self.journalist.add(changes, kind, message, hub=now.hub, site=now.site, actor=self.actor)

    def _ready(self, name: str) -> Condition:
        age = self.sightings.age_s(name)
        kind = ConditionType.READY
        if age is None:
            return Condition(type=kind, status=Truth.UNKNOWN, reason="NeverHeard", message=f"{name}: no agent yet")
        if age > LOOK_S * 3:
            return Condition(type=kind, status=Truth.UNKNOWN, reason="Silent", message=f"{name}: agent is silent")
        if self.observations.site(name) is None:
            return Condition(type=kind, status=Truth.UNKNOWN, reason="NotReported", message=f"{name}: no report yet")
        return Condition(type=kind, status=Truth.TRUE, reason="Heard", message=f"{name}: agent renews and reports")

    def _now(self) -> datetime:
        return self.journalist.clock.now()


def read_conditions(messages: Iterable[types_pb2.Condition]) -> tuple[Condition, ...]:
    """From the wire; `since` is the leader's business. Kinds that only a newer agent knows are left out."""
    return tuple(
        Condition(type=ConditionType(m.type), status=Truth(m.status), reason=m.reason, message=m.message)
        for m in messages
        if m.type in KINDS and m.status in TRUTHS
    )


def _unfenced(conditions: Iterable[types_pb2.Condition]) -> str:
    """What the site says against its own fencer; empty: nothing."""
    bad = (c for c in conditions if c.type == ConditionType.FENCED.value and c.status != Truth.TRUE.value)
    return next((c.message for c in bad), "")


def _truth(conditions: tuple[Condition, ...]) -> Truth:
    return next((c.status for c in conditions if c.type is ConditionType.READY), Truth.UNKNOWN)
