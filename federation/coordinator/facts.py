"""From the snapshot to the facts that `core` decides on: sites, needs, wishes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from federation.coordinator.observations import Sightings
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import auth_secret
from federation.core.placement import Choice, Need, SiteFacts, Wish, choose, judge, no_room
from federation.core.takeover import Target
from federation.model.classroom import Classroom
from federation.model.classroom_running import ANY_STANDBY, NO_STANDBY
from federation.model.status import SiteRecord
from federation.store import keys
from federation.store.mirror import Subscription


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


@dataclass(frozen=True, slots=True)
class Pending:
    """A decision that the mirror does not show yet. `revision` None: it is being written."""

    site: str
    need: Need
    revision: int | None = None


class ReservationBook:
    """What is promised at each site, kept up by the mirror's news: a sum over all classes for each decision would make
    placing many of them quadratic."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._news: Subscription | None = None
        self._lines: dict[str, tuple[str, Need]] = {}
        self._totals: dict[str, tuple[int, int]] = {}

    def totals(self) -> dict[str, tuple[int, int]]:
        """Millicores and bytes by site, from what the mirror shows now."""
        for hub in self._changed():
            line = self._lines.pop(hub, None)
            if line is not None:
                _add(self._totals, line[0], line[1], -1)
            assignment, generation = self._snapshot.assignment(hub), self._snapshot.in_force(hub)
            if assignment is not None and generation is not None:
                self._lines[hub] = (assignment.document.site, need_of(generation.classroom))
                _add(self._totals, *self._lines[hub])
        return self._totals

    def _changed(self) -> set[str]:
        if self._news is None:
            self._news = self._snapshot.mirror.subscribe()
            return {keys.tail(entry.key) for entry in self._snapshot.mirror.entries(keys.ASSIGNMENTS)}
        hubs = set()
        for key in self._news.drain():
            if key.startswith((keys.ASSIGNMENTS, keys.OPERATIONS, keys.RETIRED)):
                hubs.add(keys.tail(key))
            elif key.startswith(keys.CLASSROOMS):
                record = self._snapshot.classroom(keys.tail(key))
                hubs.update({record.document.uid} if record is not None else ())
        return hubs


@dataclass(slots=True)
class Planner:
    """Places against what is assigned in the register plus what this leader has just decided and not seen back yet."""

    snapshot: Snapshot
    sightings: Sightings
    _pending: dict[str, Pending] = field(default_factory=dict)
    _book: ReservationBook = field(init=False)

    def __post_init__(self) -> None:
        self._book = ReservationBook(self.snapshot)

    def choose(
        self, classroom: Classroom, homes_at: str | None = None, sealed_to: frozenset[str] | None = None
    ) -> Choice:
        """Place a classroom that has no owner; `homes_at` names the one site that has its students' files, `sealed_to`
        the sites that can open its secret (None: it is not sealed yet)."""
        return choose(self.sites(), need_of(classroom), replace(wish_of(classroom, homes_at), sealed_to=sealed_to))

    def growth(self, hub: str, site: str, classroom: Classroom) -> str:
        """Why the hub's site has no room for what the newest generation asks beyond the one in force; empty: it has."""
        now, need = self.snapshot.in_force(hub), need_of(classroom)
        had = need_of(now.classroom) if now is not None else Need(0, 0, 0)
        facts = next((fact for fact in self.sites() if fact.name == site), None)
        if facts is None:
            return ""
        without = replace(
            facts,
            reserved_cpu_millis=facts.reserved_cpu_millis - had.cpu_millis,
            reserved_memory_bytes=facts.reserved_memory_bytes - had.memory_bytes,
        )
        grows = need.cpu_millis > had.cpu_millis or need.memory_bytes > had.memory_bytes
        return (no_room(without, need) or "") if grows else ""

    def standbys(self, hub: str, owner: str) -> tuple[Target, ...]:
        """The sites that the file allows to take the hub over from `owner`, the wanted one first, and what speaks
        against each: its room, its secret. Not yet whether its lease is fresh."""
        generation = self.snapshot.in_force(hub)
        if generation is None or generation.classroom.spec.placement.standby == NO_STANDBY:
            return ()
        wish, need = wish_of(generation.classroom, None), need_of(generation.classroom)
        record = self.snapshot.classroom_of(hub)
        secret = self.snapshot.secret(auth_secret(record.document)) if record is not None else None
        wish = replace(wish, sealed_to=frozenset(secret.sealed) if secret is not None else None)
        others = [site for site in self.sites() if site.name != owner and wish.standby in (None, owner, site.name)]
        verdicts = sorted((judge(site, need, wish) for site in others), key=lambda v: (not v.fits, -v.score, v.site))
        return tuple(Target(v.site, v.reason if not v.fits else self._unopened(hub, v.site)) for v in verdicts)

    def objection_to(self, hub: str, target: str, *, cordoned_or_not: bool = False) -> str:
        """Why the hub could not run at `target`, which a person or a rule has named: rules, room, secrets; empty: it
        could. Its lease is another question. `cordoned_or_not`: it may be closed to hubs that come anew."""
        generation, record = self.snapshot.in_force(hub), self.snapshot.classroom_of(hub)
        site = next((site for site in self.sites() if site.name == target), None)
        if generation is None or record is None or site is None:
            return "it has not joined"
        site = replace(site, cordon="") if cordoned_or_not else site
        secret = self.snapshot.secret(auth_secret(record.document))
        sealed_to = frozenset(secret.sealed) if secret is not None else None
        wish = replace(wish_of(generation.classroom, None), sealed_to=sealed_to)
        verdict = judge(site, need_of(generation.classroom), wish)
        return self._unopened(hub, target) if verdict.fits else verdict.reason

    def _unopened(self, hub: str, site: str) -> str:
        generation, key = self.snapshot.in_force(hub), self.snapshot.home_key(hub)
        lasting = generation is not None and generation.classroom.spec.storage.protection is not None
        if not lasting or (key is not None and site in key.sealed):
            return ""
        return "it cannot open the copies of the homes: it joined after the class was placed"

    def reserve(self, hub: str, site: str, classroom: Classroom) -> None:
        """Count a decision that is about to be written: other hubs are placed while the register takes it."""
        self._pending[hub] = Pending(site, need_of(classroom))

    def committed(self, hub: str, revision: int) -> None:
        """It was written at `revision`: counted until the mirror shows that."""
        self._pending[hub] = replace(self._pending[hub], revision=revision)

    def release(self, hub: str) -> None:
        """It was not written."""
        self._pending.pop(hub, None)

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
            cordon=str(site.cordon) if site.cordon is not None else "",
        )

    def _reserved(self) -> dict[str, tuple[int, int]]:
        totals = dict(self._book.totals())
        shown = self.snapshot.mirror.revision
        self._pending = {h: p for h, p in self._pending.items() if p.revision is None or p.revision > shown}
        for pending in self._pending.values():
            _add(totals, pending.site, pending.need)
        return totals


def _add(totals: dict[str, tuple[int, int]], site: str, need: Need, sign: int = 1) -> None:
    cpu, memory = totals.get(site, (0, 0))
    totals[site] = (cpu + sign * need.cpu_millis, memory + sign * need.memory_bytes)
