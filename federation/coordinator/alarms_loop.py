"""Makes events of conditions that stay bad, and of their end; hooks are called for events only (`core.alarms`).

What was raised is a document, written together with the event: a new leader neither repeats nor forgets an alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.coordinator.events import Journalist
from federation.coordinator.snapshot import Snapshot
from federation.core.alarms import OF_SITES, Outcome, Watched, judge
from federation.model.classroom_running import NO_STANDBY
from federation.model.hooks import Alarms, HookEvent
from federation.model.ownership import Pause
from federation.model.status import HubPhase
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

LOOK_S = 5.0  # so exactly the end of a pause is known
NOT_YET = (HubPhase.PENDING, HubPhase.STARTING)


@dataclass(slots=True)
class AlarmsLoop:
    """`reconcile(hub)` and `reconcile_site(name)`. One per term of leadership."""

    register: Register
    snapshot: Snapshot
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    hold_s: float
    actor: str
    _paused_mono: float | None = None  # when moves were last seen to be paused

    async def reconcile(self, hub: str) -> float | None:
        """Raise and end what has held for long enough; returns when something else may have."""
        observed = self.snapshot.observation(hub)
        stored = self.snapshot.get(keys.alarm(hub), Alarms)
        raised = stored.document.raised if stored is not None else ()
        settling_s = self._since_pause()
        if observed is None or (observed.document.phase in NOT_YET and not raised):
            return None
        watched = Watched(observed.document.conditions, raised, self.hold_s, self._excused(hub), settling_s)
        outcome = judge(watched, self.journalist.clock.now())
        if outcome.changes:
            await self._write(hub, stored, outcome, hub=hub, site=observed.document.site)
        return LOOK_S if settling_s == 0.0 else outcome.look_s

    async def reconcile_site(self, name: str) -> float | None:
        """The same for a site: told when it is silent for so long, also where none of its classes can be moved."""
        site, about = self.snapshot.site(name), f"site-{name}"
        if site is None:
            return None
        stored = self.snapshot.get(keys.alarm(about), Alarms)
        raised = stored.document.raised if stored is not None else ()
        watched = Watched(site.document.conditions, raised, self.hold_s, kinds=OF_SITES)
        outcome = judge(watched, self.journalist.clock.now())
        if outcome.changes:
            await self._write(about, stored, outcome, hub="", site=name)
        return outcome.look_s

    def _since_pause(self) -> float | None:
        """Classes that a pause disarmed need a moment after it; the pause itself was told once, not for each."""
        now_mono = self.journalist.clock.mono()
        if self.snapshot.get(keys.PAUSE, Pause) is not None:
            self._paused_mono = now_mono
        return None if self._paused_mono is None else now_mono - self._paused_mono

    def _excused(self, hub: str) -> frozenset[HookEvent]:
        generation = self.snapshot.in_force(hub)
        wanted_so = generation is not None and generation.classroom.spec.placement.standby == NO_STANDBY
        return frozenset({HookEvent.PROTECTION}) if wanted_so else frozenset()

    async def _write(self, about: str, stored: Stored[Alarms] | None, outcome: Outcome, *, hub: str, site: str) -> None:
        key = keys.alarm(about)
        changes = Changes().only_if(self.leader_guard()).unchanged(key, stored)
        if outcome.raised:
            changes.put(key, Alarms(about=about, raised=outcome.raised))
        else:
            changes.delete(key)
        for change in outcome.changes:
            kind = f"alarm.{change.event.value}" + (".over" if change.over else "")
            self.journalist.add(changes, kind, change.message, hub=hub, site=site, actor=self.actor)
        await self.register.commit(changes)
