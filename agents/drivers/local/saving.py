"""One copy of a hub is made: the database is staged, the tree counted, one restic run over all of it, and looked at."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import structlog

from agents.drivers.base import Saved, SavedHome
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.copied_tree import BackupReport, measure, read_report, stage_database
from agents.drivers.local.copy_listing import copies, tags
from agents.drivers.local.copy_repository import ensure_repository, gone
from agents.drivers.local.restic_runs import CopyFailed, ResticRuns
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.processes import Finished
from federation.runtime.restic_program import FULL_IDS, NO_SCAN, Trouble

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A folder is a copy in the store."""

    snapshot: str
    report: BackupReport

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read."""
        return self.report.unread


@dataclass(frozen=True, slots=True)
class Saving:
    """What it takes."""

    settings: LocalSettings
    runs: ResticRuns
    homes: LocalHomes
    disk: Disk
    clock: Clock

    async def save(self, hub: str, epoch: Epoch, password: str, run: str, until_mono: float) -> Saved:
        """All of it."""
        begin_mono = self.clock.mono()
        tree = self._tree(hub, epoch)
        unread, database = await self._stage(hub, tree)
        sizes = await asyncio.to_thread(measure, tree)
        uploaded = await self.upload(hub, tree, tags(epoch, run, sizes), password, until_mono)
        report = uploaded.report
        saved = Saved(
            snapshot=uploaded.snapshot,
            homes={name: SavedHome(size, report.changed.get(name, True)) for name, size in sizes.homes.items()},
            files=report.files,
            bytes=sizes.bytes,
            bytes_added=report.bytes_added,
            seconds=self.clock.mono() - begin_mono,
            unread=(*report.unread, *unread),
            database=database,
        )
        log.info("copies.saved", hub=hub, epoch=str(epoch), snapshot=saved.snapshot[:8], unread=len(saved.unread))
        return saved

    async def upload(
        self, hub: str, folder: Path, marks: tuple[str, ...], password: str, until_mono: float
    ) -> Uploaded:
        """One restic run over all of the folder, as a copy with these tags, seen in the store."""
        words = ["backup", ".", "--json", "--verbose=2", "--host", hub]
        if (await self.runs.find()).can(NO_SCAN):
            words.append("--no-scan")
        for mark in marks:
            words += ["--tag", mark]
        done = await self._back_up(hub, tuple(words), folder, password, until_mono)
        report = await asyncio.to_thread(_read, done, folder)
        return Uploaded(await self._seen(hub, report, password, until_mono), report)

    def _tree(self, hub: str, epoch: Epoch) -> Path:
        tree = self.homes.tree(hub)
        marked = self.homes.marked(tree)
        if marked is None:
            raise DriverError(f"{hub} has no homes at {self.settings.site} to copy")
        if epoch < marked:
            raise StaleEpoch(f"the homes of {hub} belong to epoch {marked} here; the copy would be of {epoch}")
        if epoch != marked:
            raise DriverError(f"the homes of {hub} are of epoch {marked} here, and not yet of {epoch}")
        self.homes.check_volume()
        return tree

    async def _stage(self, hub: str, tree: Path) -> tuple[tuple[str, ...], bool]:
        """Files of students matter more than the roster: without its database the copy is made, and says so."""
        live = self.settings.hub_dir(hub) / self.settings.hub_database
        try:
            return (), await asyncio.to_thread(stage_database, live, tree)
        except (sqlite3.Error, OSError) as error:
            log.warning("copies.database_not_copied", hub=hub, error=str(error))
            return (f"the hub's database ({error})",), False

    async def _back_up(
        self, hub: str, words: tuple[str, ...], tree: Path, password: str, until_mono: float
    ) -> Finished:
        own = self.runs.own(hub)
        await ensure_repository(self.runs, self.disk, own, password, until_mono)
        try:
            try:
                return await self.runs.write(own, words, password, until_mono, cwd=tree)
            except CopyFailed as error:
                if error.trouble is not Trouble.LOCKED:
                    raise
                self.runs.relock(hub)
                return await self.runs.write(own, words, password, until_mono, cwd=tree)
        except CopyFailed as error:
            if error.trouble is Trouble.NO_REPOSITORY:
                raise gone(self.runs, own) from error
            raise

    async def _seen(self, hub: str, report: BackupReport, password: str, until_mono: float) -> str:
        """The full id of the new copy; where restic says but a part of it, the store is asked, and it is seen there."""
        if (await self.runs.find()).can(FULL_IDS):
            return report.snapshot
        said = await self.runs.read(self.runs.own(hub), ("snapshots", "--json", report.snapshot), password, until_mono)
        listed = copies(said)
        if len(listed) != 1:
            raise DriverError(f"the copy {report.snapshot} of {hub} is not in its repository after it was saved")
        return listed[0].snapshot


def _read(done: Finished, folder: Path) -> BackupReport:
    return read_report(done.output.splitlines(), folder.resolve())
