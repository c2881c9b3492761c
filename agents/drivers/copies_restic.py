"""Copies of homes with restic: what a `local` site saves, looks at and restores (DESIGN.md 4.5).

One run covers the hub's whole tree, for an unchanged home costs about a millisecond in it and a run of its own 0.4 s.
What lies where: `local/copy_store.py`; how restic is run: `local/restic_runs.py`; how a tree is replaced:
`local/restoring.py`; how homes come beside others: `local/putting_aside.py`; what was never sent: `local/unsent_work.py`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from agents.drivers.base import (
    CopiesCapabilities,
    Copy,
    CopyRef,
    HubDriver,
    Placed,
    Restored,
    Saved,
    UnsentWork,
)
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copies_in_store import CopiesInStore
from agents.drivers.local.isolation import Isolation
from agents.drivers.local.putting_aside import PuttingAside
from agents.drivers.local.restoring import Restoring
from agents.drivers.local.saving import Saving
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.unsent_work import SavingUnsent
from federation.model.classroom import Classroom
from federation.model.errors import DriverError, FederationError, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.processes import Processes
from federation.runtime.restic_program import Restic

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ResticCopies:
    """The CopiesDriver of a site that has a store."""

    settings: LocalSettings
    processes: Processes
    clock: Clock
    disk: Disk
    homes: LocalHomes
    hubs: HubDriver
    find: Callable[[], Awaitable[Restic]]
    isolation: Callable[[], Awaitable[Isolation]]
    _store: CopiesInStore = field(init=False)
    _busy: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def __post_init__(self) -> None:
        self._store = CopiesInStore(self.settings, self.processes, self.clock, self.find)

    async def capabilities(self) -> CopiesCapabilities:
        return await self._store.capabilities()

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 1800.0) -> Saved:
        async with self._busy[hub]:
            saving = Saving(self.settings, self._store.runs(), self.homes, self.disk, self.clock)
            return await saving.save(hub, epoch, password, run, self.clock.mono() + limit_s)

    async def list(self, site: str, hub: str, password: str, *, limit_s: float = 60.0) -> tuple[Copy, ...]:
        return await self._store.of(site, hub, password, self.clock.mono() + limit_s)

    async def look(self, copy: CopyRef, password: str, *, limit_s: float = 60.0) -> str:
        try:
            found = await self._store.now(copy, password, self.clock.mono() + limit_s)
            return await self._store.reading.no_room(found)
        except FederationError as error:
            return error.message

    async def restore(
        self,
        copy: CopyRef,
        epoch: Epoch,
        password: str,
        *,
        classroom: Classroom | None = None,  # noqa: ARG002 - homes here are folders, of no size
        limit_s: float = 3600.0,
    ) -> Restored:
        async with self._busy[copy.hub]:
            begin_mono = self.clock.mono()
            steps = Restoring(self.settings, self.homes, self.disk, copy.hub)
            tree = self.homes.tree(copy.hub)
            marked = self.homes.marked(tree)
            if marked is not None and epoch < marked:
                raise StaleEpoch(f"the homes of {copy.hub} belong to epoch {marked} here; the order is of {epoch}")
            done = not await asyncio.to_thread(steps.is_of, tree, copy, epoch)
            if done:
                await self._none_runs(copy.hub)
                await self._written(steps, copy, epoch, password, begin_mono + limit_s)
                await self._none_runs(copy.hub)
                await blocking(self._put_in_place, steps, epoch)
            kept = tuple(str(path) for path in self.homes.kept(copy.hub))
            if done:
                log.info("copies.restored", hub=copy.hub, epoch=str(epoch), snapshot=copy.snapshot[:8], kept=kept)
            return Restored(str(tree), done, kept, self.clock.mono() - begin_mono)

    async def abandon(self, hub: str) -> None:
        async with self._busy[hub]:
            folder = self.homes.restoring(hub)
            if await asyncio.to_thread(folder.exists):
                await blocking(shutil.rmtree, folder)

    async def restore_aside(
        self, copy: CopyRef, user: str, folder: str, password: str, *, limit_s: float = 1800.0
    ) -> bool:
        async with self._busy[copy.hub]:
            until_mono = self.clock.mono() + limit_s
            return await (await self._aside(copy.hub)).one(copy, user, folder, password, until_mono)

    async def save_unsent(
        self, hub: str, epoch: Epoch, base: CopyRef, password: str, *, run: str, limit_s: float = 3600.0
    ) -> UnsentWork:
        async with self._busy[hub]:
            runs = self._store.runs()
            saving = Saving(self.settings, runs, self.homes, self.disk, self.clock)
            steps = Restoring(self.settings, self.homes, self.disk, hub)
            unsent = SavingUnsent(saving, runs, self._store.reading, self.homes, steps)
            tree = await blocking(unsent.tree, epoch)
            if tree == self.homes.tree(hub):
                await self._none_runs(hub)
            return await unsent.save(tree, epoch, base, password, run, self.clock.mono() + limit_s)

    async def recover(
        self, copy: CopyRef, folder: str, users: tuple[str, ...], password: str, *, limit_s: float = 3600.0
    ) -> Placed:
        async with self._busy[copy.hub]:
            until_mono = self.clock.mono() + limit_s
            return await (await self._aside(copy.hub)).every(copy, folder, users, password, until_mono)

    async def _aside(self, hub: str) -> PuttingAside:
        isolated = (await self.isolation()).on
        return PuttingAside(self.settings, self.homes, self.disk, self._store.reading, hub, isolated)

    # --- parts of a restore ---

    async def _none_runs(self, hub: str) -> None:
        """Students' servers work in the tree, the hub in its database: neither may be replaced under them."""
        found = (await self.hubs.observe(hub)).processes
        if found:
            raise DriverError(
                f"{found} processes of {hub} run here: its homes cannot be replaced or compared under them"
            )

    async def _written(self, steps: Restoring, copy: CopyRef, epoch: Epoch, password: str, until_mono: float) -> None:
        """The copy beside the tree, whole and marked; nothing if it is there from an attempt that was interrupted."""
        if await asyncio.to_thread(steps.is_of, self.homes.restoring(copy.hub), copy, epoch):
            return
        folder = await blocking(steps.begin)
        found = await self._store.reading.described(copy, password, until_mono)
        if refusal := await self._store.reading.no_room(found):
            raise DriverError(refusal)
        on = (await self.isolation()).on
        try:
            await self._store.reading.extract(copy, folder, password, until_mono)
            await blocking(lambda: steps.complete(folder, copy, epoch, found.homes, isolated=on))
        except BaseException:
            await blocking(steps.begin)  # gives the room back; the empty folder still says that homes are due (I6)
            raise

    @staticmethod
    def _put_in_place(steps: Restoring, epoch: Epoch) -> None:
        folder = steps.homes.restoring(steps.hub)
        steps.place_database(folder, epoch)
        steps.swap(folder)
