"""Students' homes of a `local` site: one tree per hub uid, marked with the epoch that last owned it.

A tree outlives its hub. The homes inside are made by the hub's spawner, each for its student.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.local.isolation import make_enterable
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.disk import Disk

MARK = ".hubfed-home.json"


@dataclass(frozen=True, slots=True)
class LocalHomes:
    """The HomesDriver."""

    settings: LocalSettings
    disk: Disk

    async def ensure(self, hub: str, epoch: Epoch) -> str:
        tree = self._tree(hub)
        marked = self._marked(tree)
        if marked is not None and epoch < marked:
            raise StaleEpoch(f"the homes of {hub} belong to epoch {marked} here; the order is of {epoch}")
        try:
            make_enterable(self.settings.homes_dir)
            make_enterable(tree)
        except OSError as error:
            raise DriverError(f"cannot make the homes of {hub} at {tree}: {error.strerror}") from error
        if marked != epoch:
            content = {"hub": hub, "epoch": [epoch.era, epoch.n]}
            self.disk.replace(tree / MARK, json.dumps(content).encode())
        return str(tree)

    async def where(self, hub: str) -> str | None:
        tree = self._tree(hub)
        return str(tree) if (tree / MARK).is_file() else None

    async def delete(self, hub: str) -> None:
        tree = self._tree(hub)
        if not tree.is_dir():
            return
        aside = tree.with_name(f".deleted-{tree.name}")  # first out of sight at once, then gone
        try:
            if not aside.exists():
                tree.rename(aside)
            await asyncio.to_thread(shutil.rmtree, aside)
        except OSError as error:
            raise DriverError(f"cannot delete the homes of {hub}: {error.strerror}: {error.filename}") from error

    def _tree(self, hub: str) -> Path:
        if "/" in hub or hub.startswith("."):
            raise DriverError(f"{hub!r} is not the uid of a hub", delay_s=None)
        return self.settings.homes_dir / hub

    def _marked(self, tree: Path) -> Epoch | None:
        content = self.disk.read(tree / MARK)
        if content is None:
            return None
        try:
            era, n = json.loads(content)["epoch"]
            return Epoch(era=era, n=n)
        except (ValueError, KeyError, TypeError) as error:
            raise DriverError(f"{tree / MARK} cannot be understood; who owns these homes is unknown") from error
