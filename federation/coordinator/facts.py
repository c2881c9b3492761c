"""From the snapshot to the facts that `core` decides on: sites, needs, wishes."""

from __future__ import annotations

from dataclasses import dataclass, field

from federation.coordinator.observations import Sightings
from federation.coordinator.snapshot import Snapshot
from federation.core.placement import Choice, Need, SiteFacts, Wish, choose
from federation.model.classroom import Classroom
from federation.model.placing import Assignment
from federation.model.status import SiteRecord
from federation.store import keys

NO_STANDBY = "none"
ANY_STANDBY = "auto"


def need_of(classroom: Classroom) -> Need:
    """Seats x guarantee (DOMAIN: one seat is what one student is guaranteed)."""
    seats, spec = classroom.spec.roster.expected, classroom.spec
    return Need(seats, cpu_millis=seats * spec.seat_cpu_millis, memory_bytes=seats * spec.seat_memory_bytes)


def wish_of(classroom: Classroom, homes_at: str | None) -> Wish:
    """What the file says about sites."""
    placement = classroom.spec.placement
    named = placement.standby not in (NO_STANDBY, ANY_STANDBY, None)
    return Wish(
        allow=tuple(placement.allow),
        prefer=placement.prefer,
        standby=placement.standby if named else None,
        wants_standby=placement.standby != NO_STANDBY,
        homes_at=homes_at,
    )


@dataclass(slots=True)
class Planner:
    """Places against what is assigned in the register plus what this leader has just decided and not seen back yet."""

    snapshot: Snapshot
    sightings: Sightings
    _pending: list[tuple[int, str, Need]] = field(default_factory=list)

    def choose(self, classroom: Classroom, homes_at: str | None = None) -> Choice:
        """Place a classroom that has no owner; `homes_at` names the one site that has its students' files."""
        return choose(self.sites(), need_of(classroom), wish_of(classroom, homes_at))

    def reserve(self, revision: int, site: str, classroom: Classroom) -> None:
        """Count a decision that was committed at `revision`, until the mirror shows that."""
        self._pending.append((revision, site, need_of(classroom)))

    def sites(self) -> tuple[SiteFacts, ...]:
        """All sites with what is promised at each."""
        reserved = self._reserved()
        return tuple(self._facts(site, reserved.get(site.name, (0, 0))) for site in self.snapshot.sites())

    def _facts(self, site: SiteRecord, reserved: tuple[int, int]) -> SiteFacts:
        return SiteFacts(
            name=site.name,
            cpu_millis=site.cpu_millis,
            memory_bytes=site.memory_bytes,
            reserved_cpu_millis=reserved[0],
            reserved_memory_bytes=reserved[1],
            silent_s=self.sightings.age_s(site.name),
        )

    def _reserved(self) -> dict[str, tuple[int, int]]:
        totals: dict[str, tuple[int, int]] = {}
        for stored in self.snapshot.under(keys.ASSIGNMENTS, Assignment):
            assignment = stored.document
            record = self.snapshot.classroom_of(assignment.hub)
            if record is not None:
                _add(totals, assignment.site, need_of(record.document.classroom))
        self._pending = [p for p in self._pending if p[0] > self.snapshot.mirror.revision]
        for _revision, site, need in self._pending:
            _add(totals, site, need)
        return totals


def _add(totals: dict[str, tuple[int, int]], site: str, need: Need) -> None:
    cpu, memory = totals.get(site, (0, 0))
    totals[site] = (cpu + need.cpu_millis, memory + need.memory_bytes)
