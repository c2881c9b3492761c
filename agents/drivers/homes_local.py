"""Students' homes of a `local` site: one tree per hub uid, marked with the epoch that last owned it.

A tree outlives its hub. The homes inside are made by the hub's spawner, each for its student. A tree is made empty only
for a hub that never ran here: if the volume is not mounted, or a tree is missing, or a restore of it was ordered and
has not ended, nothing is started (I6).
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.base import CopyRef, HomesMark
from agents.drivers.local.hub_file import NAME as HUB_FILE
from agents.drivers.local.isolation import make_enterable
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.disk import Disk

MARK = ".hubfed-home.json"
VOLUME = ".hubfed-homes-id"
FIRST = threading.Lock()
"""Two classes that are restored at once are so in threads: of a site that never had homes each would draw its own mark, and
the one that is kept in the state could be the other one's."""


@dataclass(frozen=True, slots=True)
class LocalHomes:
    """The HomesDriver."""

    settings: LocalSettings
    disk: Disk

    async def ensure(self, hub: str, epoch: Epoch, *, lasting: bool = True) -> str:
        tree = self.tree(hub)
        marked = self.marked(tree)
        if marked is not None and epoch < marked:
            raise StaleEpoch(f"the homes of {hub} belong to epoch {marked} here; the order is of {epoch}")
        if marked is not None and marked < epoch and not lasting:
            await asyncio.to_thread(_empty, tree)
        if marked is None and self.disk.read(self.settings.hub_dir(hub) / HUB_FILE) is not None:
            raise DriverError(f"the homes of {hub} are not at {tree} although it ran here: is the volume mounted?")
        due = self.restoring(hub).exists()
        if (due and marked != epoch) or (marked is None and self.kept(hub)):
            raise DriverError(f"the homes of {hub} are not at {tree}: a restore of them was ordered and has not ended")
        try:
            self.check_volume()
            make_enterable(tree)
        except OSError as error:
            raise DriverError(f"cannot make the homes of {hub} at {tree}: {error.strerror}") from error
        if marked != epoch:
            content = {"hub": hub, "epoch": [epoch.era, epoch.n]}
            self.disk.replace(tree / MARK, json.dumps(content).encode())
        return str(tree)

    def check_volume(self) -> None:
        """The folder of all homes carries a mark, and so does the state: an unmounted volume is seen as such."""
        with FIRST:
            known, found = self.is_mounted()
            try:
                make_enterable(self.settings.homes_dir)
            except OSError as error:  # e.g. it was mounted anew, read-only, after an error of its disk
                raise DriverError(f"cannot use {self.settings.homes_dir}: {error.strerror}") from error
            if found is None:
                found = secrets.token_hex(8).encode()
                self.disk.replace(self.settings.homes_dir / VOLUME, found)
            if known is None:
                self.disk.replace(self.settings.state_dir / VOLUME, found)

    def is_mounted(self) -> tuple[bytes | None, bytes | None]:
        """The mark that is known, and the one that is there; DriverError if they differ. Only looks."""
        known = self.disk.read(self.settings.state_dir / VOLUME)
        found = self.disk.read(self.settings.homes_dir / VOLUME)
        if known is not None and found != known:
            raise DriverError(
                f"{self.settings.homes_dir} is not the folder that this site used: is the volume mounted?"
            )
        return known, found

    async def where(self, hub: str) -> str | None:
        tree = self.tree(hub)
        return next((str(found) for found in (tree, _aside(tree)) if (found / MARK).is_file()), None)

    async def mark(self, hub: str) -> HomesMark | None:
        self.is_mounted()  # "there is nothing" must not be said of a folder that is not there
        tree = self.tree(hub)
        epoch, content = self.marked(tree), self.disk.read(tree / MARK)
        if epoch is None or content is None:
            return None
        said = json.loads(content)
        restored = "site" in said and "snapshot" in said
        return HomesMark(epoch, CopyRef(said["site"], hub, said["snapshot"]) if restored else None)

    async def delete(self, hub: str) -> None:
        tree = self.tree(hub)
        aside = _aside(tree)  # first out of sight at once, then gone
        try:
            if tree.is_dir() and not aside.exists():
                tree.rename(aside)
            for left in (self.restoring(hub), self.beside(hub), *self.kept(hub), aside):
                if left.is_dir():
                    await asyncio.to_thread(_remove, left)
        except OSError as error:
            raise DriverError(f"cannot delete the homes of {hub}: {error.strerror}: {error.filename}") from error

    def tree(self, hub: str) -> Path:
        """Where the hub's tree is or would be."""
        if "/" in hub or hub.startswith("."):
            raise DriverError(f"{hub!r} is not the uid of a hub", delay_s=None)
        return self.settings.homes_dir / hub

    def restoring(self, hub: str) -> Path:
        """Where a copy is written before it becomes the tree."""
        return self.settings.homes_dir / f".restoring-{hub}"

    def beside(self, hub: str) -> Path:
        """Where files of the hub are for a moment, on their way into a copy or into homes."""
        return self.settings.homes_dir / f".aside-{hub}"

    def kept(self, hub: str) -> tuple[Path, ...]:
        """Trees that a restore put aside, oldest first."""
        named = re.compile(rf"\.kept-{re.escape(hub)}-\d+\.\d+(-\d+)?")
        if not self.settings.homes_dir.is_dir():
            return ()
        found = (entry for entry in self.settings.homes_dir.iterdir() if named.fullmatch(entry.name))
        return tuple(sorted(found, key=lambda entry: [int(n) for n in re.findall(r"\d+", entry.name[len(hub) + 7 :])]))

    def marked(self, tree: Path) -> Epoch | None:
        """The epoch that owns this tree; None if it is none."""
        content = self.disk.read(tree / MARK)
        if content is None:
            return None
        try:
            era, n = json.loads(content)["epoch"]
            return Epoch(era=era, n=n)
        except (ValueError, KeyError, TypeError) as error:
            raise DriverError(f"{tree / MARK} cannot be understood; who owns these homes is unknown") from error


def _aside(tree: Path) -> Path:
    return tree.with_name(f".deleted-{tree.name}")


def _empty(tree: Path) -> None:
    for entry in tree.iterdir():
        if entry.name == MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _remove(aside: Path) -> None:
    """The mark last: what an interrupted removal leaves is still found, and removed when it is repeated."""
    _empty(aside)
    shutil.rmtree(aside)
