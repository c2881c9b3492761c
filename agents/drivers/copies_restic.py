"""Copies of homes with restic: what a `local` site saves, looks at and restores (DESIGN.md 4.5).

One run covers the hub's whole tree, for an unchanged home costs about a millisecond in it and a run of its own 0.4 s.
What lies where: `local/copy_store.py`; how restic is run: `local/restic_runs.py`; how a tree is replaced:
`local/restoring.py`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agents.drivers.base import CopiesCapabilities, Copy, CopyRef, HubDriver, Restored, Saved
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copy_listing import Described, copies, described
from agents.drivers.local.copy_store import store_refusal, unreachable
from agents.drivers.local.isolation import Isolation
from agents.drivers.local.restic_runs import SENTENCES, CopyFailed, ResticRuns
from agents.drivers.local.restoring import Restoring
from agents.drivers.local.saving import Saving
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.students import make_home, slug, uid_of
from federation.model.errors import DriverError, FederationError, NotFound, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.processes import Processes
from federation.runtime.restic_program import SPARSE, Restic, Trouble

log = structlog.get_logger(__name__)

LOOK = ("ls", "--json", "--no-cache")  # an index that lies in the cache says nothing about the store of now
SPARE_BYTES = 256 << 20  # other classes write, too


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
    _runs: ResticRuns | None = None
    _known: dict[CopyRef, Described] = field(default_factory=dict)
    _busy: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def capabilities(self) -> CopiesCapabilities:
        store = self.settings.copies
        if store is None:
            return CopiesCapabilities("", "", f"site {self.settings.site} has no store of copies (spec.copies)")
        try:
            restic = await self.find()
        except FederationError as error:
            return CopiesCapabilities("", store.place, error.message)
        refusal = await asyncio.to_thread(store_refusal, store, self.settings.site) or await unreachable(store)
        return CopiesCapabilities(str(restic), store.place, refusal)

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 1800.0) -> Saved:
        async with self._busy[hub]:
            saving = Saving(self.settings, self._must_runs(), self.homes, self.disk, self.clock)
            return await saving.save(hub, epoch, password, run, self.clock.mono() + limit_s)

    async def list(self, site: str, hub: str, password: str, *, limit_s: float = 60.0) -> tuple[Copy, ...]:
        runs = self._must_runs()
        try:
            return copies(
                await runs.read(runs.of(site, hub), ("snapshots", "--json"), password, self.clock.mono() + limit_s)
            )
        except CopyFailed as error:
            if error.trouble is Trouble.NO_REPOSITORY:
                return ()
            raise

    async def look(self, copy: CopyRef, password: str, *, limit_s: float = 60.0) -> str:
        self._known.pop(copy, None)
        try:
            found = await self._described(copy, password, self.clock.mono() + limit_s)
            return self._no_room(found, await self.find())
        except FederationError as error:
            return error.message

    async def restore(self, copy: CopyRef, epoch: Epoch, password: str, *, limit_s: float = 3600.0) -> Restored:
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
        if "/" in folder or "\0" in folder or folder.startswith("."):
            raise DriverError(f"{folder!r} cannot be the name of a folder in a home", delay_s=None)
        async with self._busy[copy.hub]:
            until_mono = self.clock.mono() + limit_s
            if await self.homes.where(copy.hub) is None:
                raise DriverError(f"the homes of {copy.hub} are not at {self.settings.site}")
            on = (await self.isolation()).on
            first = self.settings.first_student_uid
            uid = uid_of(self.settings.uids_file, copy.hub, user, first) if on else None
            home = await asyncio.to_thread(make_home, self.homes.tree(copy.hub), user, uid)
            if await asyncio.to_thread(os.path.lexists, home / folder):
                return False
            found = await self._described(copy, password, until_mono)
            if slug(user) not in found.homes:
                raise NotFound(f"the copy {copy.snapshot[:8]} of {copy.hub} by {copy.site} has no home of {user}")
            steps = Restoring(self.settings, self.homes, self.disk, copy.hub)
            beside = self.settings.homes_dir / f".aside-{copy.hub}"
            try:
                await blocking(steps.begin_aside, beside)
                await self._extract(copy, beside, password, until_mono, f"/{slug(user)}")
                restored = beside / slug(user)
                return await blocking(lambda: steps.put_aside(restored, user, home, folder, isolated=on))
            finally:
                await blocking(lambda: shutil.rmtree(beside, ignore_errors=True))

    # --- parts of look and restore ---

    async def _described(self, copy: CopyRef, password: str, until_mono: float) -> Described:
        """What the copy is; a copy never changes, so it is asked for once."""
        if copy not in self._known:
            runs = self._must_runs()
            repository = runs.of(copy.site, copy.hub)
            found = described(await runs.read(repository, (*LOOK, copy.snapshot, "/"), password, until_mono))
            if found is None:
                sentence = SENTENCES[Trouble.NO_SNAPSHOT].format(hub=copy.hub, site=copy.site, url=repository.url)
                raise CopyFailed(Trouble.NO_SNAPSHOT, f"{sentence}: {copy.snapshot}")
            if found.hub != copy.hub:
                raise DriverError(f"the copy {copy.snapshot} is of {found.hub}, not of {copy.hub}", delay_s=None)
            self._known[copy] = found
        return self._known[copy]

    def _no_room(self, found: Described, restic: Restic) -> str:
        folder = self.settings.homes_dir
        while not folder.exists():
            folder = folder.parent
        needed, free = found.room(sparse=restic.can(SPARSE)) + SPARE_BYTES, shutil.disk_usage(folder).free
        if needed <= free:
            return ""
        return f"{found.hub} needs {needed >> 20} MiB at {folder}, and {free >> 20} MiB are free"

    async def _none_runs(self, hub: str) -> None:
        """Students' servers work in the tree, the hub in its database: neither may be replaced under them."""
        found = (await self.hubs.observe(hub)).processes
        if found:
            raise DriverError(f"{found} processes of {hub} run here: its homes cannot be replaced under them")

    async def _written(self, steps: Restoring, copy: CopyRef, epoch: Epoch, password: str, until_mono: float) -> None:
        """The copy beside the tree, whole and marked; nothing if it is there from an attempt that was interrupted."""
        if await asyncio.to_thread(steps.is_of, self.homes.restoring(copy.hub), copy, epoch):
            return
        folder = await blocking(steps.begin)
        found = await self._described(copy, password, until_mono)
        if refusal := self._no_room(found, await self.find()):
            raise DriverError(refusal)
        on = (await self.isolation()).on
        try:
            await self._extract(copy, folder, password, until_mono)
            await blocking(lambda: steps.complete(folder, copy, epoch, found.homes, isolated=on))
        except BaseException:
            await blocking(steps.begin)  # gives the room back; the empty folder still says that homes are due (I6)
            raise

    async def _extract(self, copy: CopyRef, into: Path, password: str, until_mono: float, only: str = "") -> None:
        """Every file that was written is read again and compared."""
        runs = self._must_runs()
        words = ["restore", copy.snapshot, "--target", str(into), "--verify"]
        if (await self.find()).can(SPARSE):
            words.append("--sparse")
        if only:
            words += ["--include", only]
        await runs.read(runs.of(copy.site, copy.hub), tuple(words), password, until_mono)

    @staticmethod
    def _put_in_place(steps: Restoring, epoch: Epoch) -> None:
        folder = steps.homes.restoring(steps.hub)
        steps.place_database(folder, epoch)
        steps.swap(folder)

    def _must_runs(self) -> ResticRuns:
        if self._runs is None:
            if self.settings.copies is None:
                raise DriverError(f"site {self.settings.site} has no store of copies (spec.copies)", delay_s=60.0)
            self._runs = ResticRuns(self.settings, self.settings.copies, self.processes, self.clock, self.find)
        return self._runs
