"""`CopiesDriver` of a simulated site: the twin's, and what it truly saved and restored for the history."""

from __future__ import annotations

from agents.drivers.base import CopyRef, Restored, Saved, UnsentWork
from agents.drivers.memory import MemorySite
from agents.drivers.memory_copies import MemoryCopies
from federation.model.classroom import Classroom
from federation.model.identity import Epoch
from tests.support.sim import history as h
from tests.support.sim import history_homes as homes
from tests.support.sim.loop import SimLoop


class SimCopies(MemoryCopies):
    def __init__(self, site: MemorySite, history: h.History, loop: SimLoop) -> None:
        super().__init__(site)
        self._history, self._loop = history, loop

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 1800.0) -> Saved:
        saved = await super().save(hub, epoch, password, run=run, limit_s=limit_s)
        self._copied(hub, epoch, saved.snapshot, unsent=False)
        return saved

    async def save_unsent(
        self, hub: str, epoch: Epoch, base: CopyRef, password: str, *, run: str, limit_s: float = 3600.0
    ) -> UnsentWork:
        work = await super().save_unsent(hub, epoch, base, password, run=run, limit_s=limit_s)
        if work.snapshot:
            self._copied(hub, epoch, work.snapshot, unsent=True)
        return work

    async def restore(
        self, copy: CopyRef, epoch: Epoch, password: str, *, classroom: Classroom | None = None, limit_s: float = 3600.0
    ) -> Restored:
        restored = await super().restore(copy, epoch, password, classroom=classroom, limit_s=limit_s)
        if restored.done:
            site, now = self._site.site, self._loop.true_s
            self._history.add(homes.Restored(now, site, copy.hub, (epoch.era, epoch.n), copy.snapshot))
        return restored

    def _copied(self, hub: str, epoch: Epoch, snapshot: str, *, unsent: bool) -> None:
        site = self._site
        copy = next(c for c in reversed(site.store.of(site.site, hub)) if c.ref.snapshot == snapshot)
        works, at = homes.works_in(copy.files), (epoch.era, epoch.n)
        self._history.add(homes.Copied(self._loop.true_s, site.site, hub, at, snapshot, works, unsent))
