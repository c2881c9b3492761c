"""Gathers what `core.unseen` decides from: what other places say of a hub, and what the leader knows of its site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.coordinator.facts import Planner
from federation.coordinator.observations import Observations
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.takeovers import Takeovers
from federation.coordinator.whereabouts import meets_within_s
from federation.core.takeover import target_objection
from federation.core.unseen import Unseen, badly_seen
from federation.model.classroom_running import Movable
from federation.model.operation import Operation
from federation.model.outlook import Outlook, Trial
from federation.model.ownership import Ownership
from federation.runtime.clock import Clock
from federation.store import keys

NOT_READ = "the register was not read for a while"
TRIAL_HOLDS = timedelta(minutes=45)  # by wall clocks of coordinators: nothing that must not run twice depends on it


@dataclass(slots=True)
class Outside:
    """`look(hub)`; one per term of leadership."""

    snapshot: Snapshot
    planner: Planner
    observations: Observations
    takeovers: Takeovers
    clock: Clock

    def look(self, ownership: Ownership) -> Unseen:
        """The hub as others see it now."""
        hub, site = ownership.hub, ownership.owner or ""
        stored, generation = self.snapshot.operation(hub), self.snapshot.in_force(hub)
        operation = stored.document if stored is not None else None
        seen = self.observations.seen(site, hub, ownership.epoch)
        target, refused = self._target(ownership, site)
        world = self.takeovers.seen_world()
        return Unseen(
            site=site,
            outlooks=tuple(s.document for s in self.snapshot.under(keys.outlooks_of(hub), Outlook)),
            serves=seen is not None and seen.epoch_matches and seen.phase == "serving" and seen.gate_open,
            fresh=site not in self._silent(),
            target=target,
            refused=refused,
            frozen=world.frozen if world is not None else NOT_READ,
            also_bad=tuple(sorted(self._bad() - {site})),
            fixed=generation is not None and generation.classroom.spec.placement.movable is Movable.NEVER,
            busy=operation is None or not operation.done,
            moved_s=self._moved_s(ownership.taken_over, operation),
            trials=tuple(s.document for s in self.snapshot.under(keys.trials_of(hub), Trial)),
            generation=generation.number if generation is not None else 0,
            also_failing=tuple(sorted(self._failing() - {site})),
            since=self.clock.now() - TRIAL_HOLDS,
            working=seen.servers if seen is not None else 0,
            meets_within_s=meets_within_s(generation.classroom.spec, self.clock.now()) if generation else None,
        )

    def _failing(self) -> frozenset[str]:
        """Sites with a class in which test servers fail for sure."""
        return badly_seen(s.document for s in self.snapshot.under(keys.TRIALS, Trial))

    def _target(self, ownership: Ownership, site: str) -> tuple[str, str]:
        """The first standby that nothing speaks against, as a takeover would choose; else why there is none."""
        world = self.takeovers.seen_world()
        owner = world.sites.get(site) if world is not None else None
        told = []
        if world is None or owner is None:
            return "", NOT_READ
        for target in self.planner.standbys(ownership.hub, site):
            objection = target.objection or target_objection(target.site, ownership, owner, world)
            if not objection:
                return target.site, ""
            told.append(f"{target.site}: {objection}")
        return "", f"no site can take it ({'; '.join(told) or 'no other site is allowed'})"

    def _silent(self) -> frozenset[str]:
        """Sites whose lease is not fresh, as this leader counts."""
        world = self.takeovers.seen_world()
        if world is None:
            return frozenset(site.name for site in self.snapshot.sites())
        return frozenset(s.name for s in world.sites.values() if not s.counting or s.silent_s > world.fresh_s)

    def _bad(self) -> frozenset[str]:
        """Sites that look bad from outside, and those that are silent."""
        return badly_seen(s.document for s in self.snapshot.under(keys.OUTLOOKS, Outlook)) | self._silent()

    def _moved_s(self, moved: datetime | None, operation: Operation | None) -> float | None:
        """Since the last move that nobody ordered; one that was turned round counts from when it was tried."""
        tried = operation.created if operation is not None and operation.unseen else None
        times = [at for at in (moved, tried) if at is not None]
        return (self.clock.now() - max(times)).total_seconds() if times else None
