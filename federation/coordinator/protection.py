"""Writes what each hub is wanted to be, armed or standing, on change (PROTOCOL.md H15). Renewals read it.

Also takes earlier owners off a hub's record once they have confirmed that nothing of it runs there (H5): until then a
takeover must respect whom they know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from federation.coordinator.copying import CopiesLoop
from federation.coordinator.events import Journalist
from federation.coordinator.facts import Planner
from federation.coordinator.observations import Observations
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.takeovers import Takeovers
from federation.core.protection import ProtectionFacts, wanted_mode
from federation.core.takeover import Target, World, target_objection
from federation.model.classroom import Classroom
from federation.model.classroom_running import NO_STANDBY
from federation.model.operation import OperationKind
from federation.model.ownership import Ownership, WantedMode
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)

LOOK_S = 5.0


@dataclass(slots=True)
class ProtectionLoop:
    """`reconcile(hub)`."""

    register: Register
    snapshot: Snapshot
    observations: Observations
    planner: Planner
    takeovers: Takeovers
    copies: CopiesLoop
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    witness: bool
    actor: str

    async def reconcile(self, hub: str) -> float | None:
        """Bring `mode/<owner>/<hub>` to what is wanted now, and let go of earlier owners that have closed."""
        stored = self.snapshot.ownership(hub)
        if stored is None:
            return None
        if await self._confirm_closed(stored) or await self._confirm_restored(stored):
            return 0.0
        record, world = self.snapshot.in_force(hub), self.takeovers.seen_world()
        if stored.document.owner is None or record is None:
            return LOOK_S if stored.document.earlier else None
        if world is not None:
            await self._want(stored, record.classroom, world)
        return LOOK_S if world is not None else 1.0

    async def _want(self, stored: Stored[Ownership], classroom: Classroom, world: World) -> None:
        ownership = stored.document
        hub, site = ownership.hub, ownership.owner or ""
        before = self.snapshot.wanted_mode(site, hub)
        facts = ProtectionFacts(
            witness=self.witness,
            paused=world.paused,
            targets=self._targets(ownership, site, world),
            wants_standby=classroom.spec.placement.standby != NO_STANDBY,
            copies=self.copies.problem_of(hub),
        )
        mode, reasons = wanted_mode(facts)
        wanted = WantedMode(hub=hub, epoch=ownership.epoch, mode=mode, reasons=reasons)
        if before is not None and before.document == wanted:
            return
        key = keys.mode(site, hub)
        changes = Changes().only_if(self.leader_guard()).unchanged(stored.key, stored).unchanged(key, before)
        changes.put(key, wanted)
        if before is None or before.document.mode is not mode:
            message = "; ".join(reasons) or "a takeover would be possible"
            self.journalist.add(changes, f"protection.{mode.value}", message, hub=hub, site=site, actor=self.actor)
        await self.register.commit(changes)

    def _targets(self, ownership: Ownership, site: str, world: World) -> tuple[Target, ...]:
        """A standby that misses a renewal or two is no reason to disarm: it counts as absent after D."""
        patient, owner = replace(world, fresh_s=self.takeovers.profile.contact_s), world.sites.get(site)
        if owner is None:
            return ()
        return tuple(
            Target(t.site, t.objection or target_objection(t.site, ownership, owner, patient))
            for t in self.planner.standbys(ownership.hub, site)
        )

    async def _confirm_restored(self, stored: Stored[Ownership]) -> bool:
        """A hub that serves at its epoch was started, so its homes are what they had to be; from now on they are newer
        than that copy, whatever becomes of the operation that ordered it."""
        ownership = stored.document
        seen = self.observations.seen(ownership.owner or "", ownership.hub, ownership.epoch)
        if ownership.restore is None or seen is None or not (seen.epoch_matches and seen.phase == "serving"):
            return False
        changes = Changes().only_if(self.leader_guard()).unchanged(stored.key, stored)
        await self.register.commit(changes.put(stored.key, ownership.revise(restore=None, restore_since=None)))
        return True

    async def _confirm_closed(self, stored: Stored[Ownership]) -> bool:
        """One earlier owner that reports the hub as stopped, knowing of a newer epoch, is off the record."""
        ownership, operation = stored.document, self.snapshot.operation(stored.document.hub)
        retiring = operation is not None and operation.document.kind is OperationKind.RETIRE
        if retiring and operation is not None and not operation.document.done:
            return False  # the operation waits for the same report and records it as its step
        for earlier in ownership.earlier:
            closing = self.snapshot.closing(earlier.site, ownership.hub)
            seen = self.observations.seen(earlier.site, ownership.hub, ownership.epoch)
            report = self.observations.hub_at(earlier.site, ownership.hub)
            if closing is None or seen is None or report is None or not seen.closed:
                continue
            if (report.epoch.era, report.epoch.n) < (closing.epoch.era, closing.epoch.n):
                continue
            changes = Changes().only_if(self.leader_guard()).unchanged(stored.key, stored)
            rest = tuple(e for e in ownership.earlier if e.site != earlier.site)
            changes.put(stored.key, ownership.revise(earlier=rest))
            changes.delete(keys.closing(earlier.site, ownership.hub))
            message = f"{earlier.site} has confirmed that nothing of it runs there"
            self.journalist.add(
                changes, "failover.closed", message, hub=ownership.hub, site=earlier.site, actor=self.actor
            )
            await self.register.commit(changes)
            return True
        return False
