"""In the pod: carries out an order about homes that are mounted here, with the code of `local` sites, and answers.

Homes are volumes of their own, so nothing is renamed from one to another: a restore writes into new ones, and what comes
beside a student's files is written into their home (`homes_put.py`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from agents.drivers.homes_local import LocalHomes
from agents.drivers.kubernetes.homes_order import ROOT, Call, HomesAnswer, HomesOrder, Wrong
from agents.drivers.kubernetes.homes_put import PuttingIntoHomes
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copies_in_store import CopiesInStore
from agents.drivers.local.copy_repository import remember
from agents.drivers.local.restoring import Restoring
from agents.drivers.local.saving import Saving
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.unsent_work import SavingUnsent
from federation.model.errors import FederationError
from federation.runtime.clock import Clock
from federation.runtime.disk import LocalDisk
from federation.runtime.once import once
from federation.runtime.processes import Processes
from federation.runtime.restic_program import find_restic

LOST_AND_FOUND = "lost+found"  # of a file system, in whose top a home may be


@dataclass(slots=True)
class HomesWork:
    """One order. `root`: where the pod has its mounts."""

    order: HomesOrder
    processes: Processes
    clock: Clock
    root: Path = ROOT
    _settings: LocalSettings = field(init=False)
    _disk: LocalDisk = field(default_factory=LocalDisk)
    _homes: LocalHomes = field(init=False)
    _store: CopiesInStore = field(init=False)

    def __post_init__(self) -> None:
        self._settings = self.order.settings(self.root)
        self._homes = LocalHomes(self._settings, self._disk)
        find = once(lambda: find_restic(self.processes, self._settings.copies_dir / "restic.log"))
        self._store = CopiesInStore(self._settings, self.processes, self.clock, find)

    async def answer(self) -> HomesAnswer:
        """Carry it out; what goes wrong is an answer too."""
        until_mono = self.clock.mono() + self.order.limit_s
        try:
            match self.order.call:
                case Call.SAVE:
                    return await self._save(until_mono)
                case Call.SAVE_UNSENT:
                    return await self._save_unsent(until_mono)
                case Call.RESTORE:
                    return await self._restore(until_mono)
                case Call.PUT:
                    return await self._put(until_mono)
                case _ as never:
                    assert_never(never)
        except FederationError as error:
            return HomesAnswer(wrong=Wrong.of(error))

    async def _save(self, until_mono: float) -> HomesAnswer:
        order, saving = self.order, await self._saving()
        return HomesAnswer(saved=await saving.save(order.hub, order.epoch, order.password, order.run, until_mono))

    async def _save_unsent(self, until_mono: float) -> HomesAnswer:
        order, saving = self.order, await self._saving()
        steps = self._steps()
        unsent = SavingUnsent(saving, self._store.runs(), self._store.reading, self._homes, steps)
        work = await unsent.save(
            order.tree(self.root), order.epoch, order.copy_ref, order.password, order.run, until_mono
        )
        return HomesAnswer(unsent=work)

    async def _restore(self, until_mono: float) -> HomesAnswer:
        """Claims of an earlier attempt at the same are emptied: nothing but the copy is in them afterwards."""
        order, copy, folder = self.order, self.order.copy_ref, self.order.tree(self.root)
        await blocking(lambda: folder.mkdir(mode=0o700, parents=True, exist_ok=True))
        for home in order.homes:
            await blocking(_empty, folder / home)
        await self._store.reading.extract(copy, folder, order.password, until_mono)
        steps = self._steps()
        await blocking(lambda: steps.complete(folder, copy, order.epoch, frozenset(order.homes), isolated=False))
        await blocking(steps.place_database, folder, order.epoch)
        return HomesAnswer()

    async def _put(self, until_mono: float) -> HomesAnswer:
        order = self.order
        putting = PuttingIntoHomes(self._store, order.tree(self.root), order.homes_owner.owner)
        placed = await putting.every(order.copy_ref, order.homes, order.folder, order.password, until_mono)
        return HomesAnswer(placed=placed)

    async def _saving(self) -> Saving:
        """The homes are marked as a tree of the order's epoch, and the repository is known to have been made."""
        runs = self._store.runs()
        remember(self._settings, self._disk, runs.own(self.order.hub))
        await self._homes.ensure(self.order.hub, self.order.epoch)
        return Saving(self._settings, runs, self._homes, self._disk, self.clock)

    def _steps(self) -> Restoring:
        return Restoring(self._settings, self._homes, self._disk, self.order.hub)


def _empty(home: Path) -> None:
    for entry in home.iterdir():
        if entry.name == LOST_AND_FOUND:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
