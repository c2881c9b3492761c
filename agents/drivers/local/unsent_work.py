"""What a tree has and the copy that was restored elsewhere has not: found, set out as hard links, and saved.

restic says what differs between two copies of one repository. Where the other copy is another site's (this one was lost
before it made any), each home is compared with its listing by kind, size and time: a restore keeps those.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.base import CopyRef, UnsentHome, UnsentWork
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copied_tree import Sizes, measure
from agents.drivers.local.copy_listing import UNSENT, Node, legible, tags
from agents.drivers.local.copy_reading import CopyReading
from agents.drivers.local.restic_runs import ResticRuns
from agents.drivers.local.restoring import Restoring
from agents.drivers.local.saving import Saving
from federation.core.unsent import the_tree_of, worth_recovering
from federation.model.errors import NotFound
from federation.model.identity import Epoch

PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class SavingUnsent:
    """For one hub; whoever calls holds its lock, and nothing works in the tree."""

    saving: Saving
    runs: ResticRuns
    reading: CopyReading
    homes: LocalHomes
    steps: Restoring

    def tree(self, epoch: Epoch) -> Path:
        """The tree of `epoch`: the hub's, or one that a restore put aside. NotFound if there is none."""
        self.homes.check_volume()
        own = self.homes.tree(self.steps.hub)
        here = {tree: self.homes.marked(tree) for tree in (own, *self.homes.kept(self.steps.hub))}
        found = the_tree_of(epoch, {tree: marked for tree, marked in here.items() if marked is not None})
        if found is not None:
            return found
        raise NotFound(f"{self.homes.settings.site} has no tree of {self.steps.hub} of epoch {epoch}")

    async def save(
        self, tree: Path, epoch: Epoch, base: CopyRef, password: str, run: str, until_mono: float
    ) -> UnsentWork:
        """All of the tree once more, then what is new in it by itself."""
        hub = self.steps.hub
        sizes = await blocking(measure, tree)
        marks = (*tags(epoch, run, sizes), f"{UNSENT}=tree")
        whole = await self.saving.upload(hub, tree, marks, password, until_mono)
        if base.site == self.homes.settings.site:
            changed = await self._different(base, whole.snapshot, password, until_mono)
        else:
            changed = await self._unlisted(tree, base, password, until_mono)
        folder = self.homes.beside(hub)
        try:
            await blocking(self.steps.begin_aside, folder)
            await blocking(set_out, tree, folder, changed)
            fresh = await blocking(measure, folder)
            if not fresh.files:
                return UnsentWork("", unread=whole.unread)
            marks = (*tags(epoch, run, fresh), f"{UNSENT}=changes")
            saved = await self.saving.upload(hub, folder, marks, password, until_mono)
            return UnsentWork(saved.snapshot, await blocking(_homes, folder, fresh), (*whole.unread, *saved.unread))
        finally:
            await blocking(lambda: shutil.rmtree(folder, ignore_errors=True))

    async def _different(self, base: CopyRef, whole: str, password: str, until_mono: float) -> list[str]:
        words = ("diff", "--json", base.snapshot, whole)
        return different(
            (await self.runs.read(self.runs.of(base.site, base.hub), words, password, until_mono)).splitlines()
        )

    async def _unlisted(self, tree: Path, base: CopyRef, password: str, until_mono: float) -> list[str]:
        changed: list[str] = []
        for home in await blocking(_names, tree):
            known = await self.reading.listed(home, base, password, until_mono)
            changed += await blocking(lambda home=home, known=known: list(unlisted(tree, home, known)))
        return changed


def different(lines: Iterable[str]) -> list[str]:
    """From `diff --json`: paths of files (not folders) that were added or changed."""
    found = (json.loads(line) for line in lines if '"message_type":"change"' in line)
    paths = (str(said["path"]).removeprefix("/") for said in found if not {"+", "M", "T"}.isdisjoint(said["modifier"]))
    return [path for path in paths if not path.endswith("/") and worth_recovering(path)]


def unlisted(tree: Path, home: str, known: dict[str, Node]) -> Iterator[str]:
    """Files of the home that are not in the listing, or not as they are."""
    for folder, folders, files in os.walk(tree / home):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for path in (Path(folder, name) for name in (*files, *links)):
            found = path.lstat()
            kind = "symlink" if stat.S_ISLNK(found.st_mode) else "file"
            shown = legible(os.fsencode(path.relative_to(tree)).decode(errors="replace"))
            seen = Node(kind, found.st_size if kind == "file" else 0, found.st_mtime_ns)
            if known.get(shown) != seen and worth_recovering(shown):
                yield str(path.relative_to(tree))


def set_out(tree: Path, folder: Path, paths: Iterable[str]) -> None:
    """The files and links of `paths` below `folder` as in the tree, as hard links: at once, and without room. Where homes
    are volumes of their own that cannot be, and they are copied."""
    for path in paths:
        for source in _found(tree, path):
            if not stat.S_ISREG(source.lstat().st_mode) and not source.is_symlink():
                continue
            target = folder / source.relative_to(tree)
            for parent in reversed(target.relative_to(folder).parents[:-1]):
                (folder / parent).mkdir(mode=PRIVATE, exist_ok=True)
            if not os.path.lexists(target):
                _set_beside(source, target)


def _set_beside(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _found(tree: Path, path: str) -> list[Path]:
    """The files that are shown as `path`: more than one only if their names differ in bytes that are no text."""
    here = tree / path
    if os.path.lexists(here):
        return [here]
    places = [tree]
    for part in path.split("/"):
        wanted = legible(part)
        places = [
            Path(entry.path)
            for place in places
            if place.is_dir() and not place.is_symlink()
            for entry in os.scandir(place)
            if legible(os.fsencode(entry.name).decode(errors="replace")) == wanted
        ]
    return places


def _names(tree: Path) -> list[str]:
    entries = (entry for entry in os.scandir(tree) if entry.is_dir(follow_symlinks=False))
    return sorted(entry.name for entry in entries if not entry.name.startswith("."))


def _homes(folder: Path, sizes: Sizes) -> dict[str, UnsentHome]:
    return {home: UnsentHome(_count(folder / home), size) for home, size in sizes.homes.items()}


def _count(home: Path) -> int:
    """Files and links; a link to a folder counts as one."""
    return sum(
        len(files) + sum(Path(folder, name).is_symlink() for name in folders)
        for folder, folders, files in os.walk(home)
    )
