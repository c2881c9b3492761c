"""A copy becomes a hub's tree: written beside, given to its students, marked, and put in place by a rename.

    .restoring-HUB   being written, then whole (its mark names epoch and copy), closed to everybody but the agent
    HUB              the tree; never half
    .kept-HUB-E.N    what was the tree before; its own mark says whose it was
Each step is found done, or done again, when a restore that was killed is repeated.
"""

from __future__ import annotations

import ctypes
import filecmp
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.base import CopyRef
from agents.drivers.homes_local import MARK, LocalHomes
from agents.drivers.local.copied_tree import STAGED
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.students import give, uid_of
from federation.core.home_names import slug
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from federation.runtime.disk import Disk

PRIVATE, ENTERABLE = 0o700, 0o711
COMPANIONS = ("", "-journal", "-wal", "-shm")  # of a SQLite file


@dataclass(frozen=True, slots=True)
class Restoring:
    """The steps for one hub. All of them block: they are called in a thread."""

    settings: LocalSettings
    homes: LocalHomes
    disk: Disk
    hub: str

    def is_of(self, tree: Path, copy: CopyRef, epoch: Epoch) -> bool:
        """Whether this tree is wholly this copy at this epoch."""
        content = self.disk.read(tree / MARK)
        with suppress(ValueError):
            return content is not None and json.loads(content) == _mark(copy, epoch)
        return False

    def begin(self) -> Path:
        """An empty folder to restore into, closed to students; what an earlier attempt left is removed."""
        return self.begin_aside(self.homes.restoring(self.hub))

    def begin_aside(self, folder: Path) -> Path:
        """The same, under another name."""
        self.homes.check_volume()
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=PRIVATE)
        return folder

    def complete(self, folder: Path, copy: CopyRef, epoch: Epoch, expected: frozenset[str], *, isolated: bool) -> None:
        """Check that the `expected` homes are there, give them to this site's uids, bring all of it to the disk, and only
        then mark it as whole."""
        if lost := expected - {home.name for home in _homes(folder)}:
            raise DriverError(f"the restore of {self.hub} is not whole: {len(lost)} homes are missing")
        if os.getuid() == 0:
            names = {slug(name): name for name in users_in(folder / STAGED)}
            for home in _homes(folder):
                # a student nobody knows yet: nobody's until the spawner gives it to them, for its number is another's
                give(home, *self._owner(names.get(home.name, home.name), own=isolated and _known(home, names)))
        volumes = {place.stat().st_dev: place for place in (*_homes(folder), folder)}
        for place in volumes.values():  # each home may be on one of its own
            to_the_disk(place)
        self.disk.replace(folder / MARK, json.dumps(_mark(copy, epoch)).encode())

    def place_database(self, folder: Path, epoch: Epoch) -> None:
        """The copy's database where a hub of this site reads its own; an older one is kept beside it."""
        staged, target = folder / STAGED, self.settings.hub_dir(self.hub) / self.settings.hub_database
        if (
            staged.is_symlink()
            or not staged.is_file()
            or (target.is_file() and filecmp.cmp(staged, target, shallow=False))
        ):
            return
        for made in (target.parent.parent, target.parent):
            made.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.new")
        shutil.copyfile(staged, fresh)
        fresh.chmod(0o600)
        if (owner := self.settings.database_owner) is not None and os.getuid() == 0:
            os.chown(fresh, owner.uid, owner.gid)
        to_the_disk(target.parent)
        for end in COMPANIONS:  # a journal that stays would be played into the new database
            old, kept = Path(f"{target}{end}"), Path(f"{target}.kept-{epoch}{end}")
            if old.exists():
                old.replace(kept)
        fresh.replace(target)
        to_the_disk(target.parent)

    def swap(self, folder: Path) -> None:
        """The whole folder becomes the tree, the former tree is kept."""
        tree = self.homes.tree(self.hub)
        if tree.exists():
            former = self.homes.marked(tree) or Epoch(era=0, n=0)
            tree.rename(next(name for name in _names(tree, former) if not name.exists()))
        folder.chmod(ENTERABLE)
        folder.rename(tree)
        to_the_disk(tree.parent)

    def put_aside(self, restored: Path, user: str, home: Path, folder: str, *, isolated: bool) -> bool:
        """One restored home into a new folder of the student's home here; False if the name is taken."""
        target = home / folder
        if os.getuid() == 0:
            give(restored, *self._owner(user, own=isolated))
        to_the_disk(restored)
        if os.path.lexists(target):
            return False
        try:
            restored.rename(target)  # fails if the student made something of this name meanwhile
        except (FileExistsError, NotADirectoryError):
            return False
        except OSError as error:
            if target.exists():
                return False
            raise DriverError(f"cannot put {folder} into {home}: {error.strerror}") from error
        return True

    def _owner(self, user: str, *, own: bool) -> tuple[int, int]:
        """Uid and group of this student's files; `own`: a uid of their own, where there is not one for all."""
        if (shared := self.settings.homes_owner) is not None:
            return shared.uid, shared.gid
        uid = uid_of(self.settings.uids_file, self.hub, user, self.settings.first_student_uid) if own else 0
        return uid, uid


def _mark(copy: CopyRef, epoch: Epoch) -> dict[str, object]:
    return {"hub": copy.hub, "epoch": [epoch.era, epoch.n], "site": copy.site, "snapshot": copy.snapshot}


def _names(tree: Path, epoch: Epoch) -> Iterator[Path]:
    yield tree.with_name(f".kept-{tree.name}-{epoch}")
    for n in range(2, 1000):
        yield tree.with_name(f".kept-{tree.name}-{epoch}-{n}")


def _homes(folder: Path) -> list[Path]:
    return [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.is_symlink()]


def _known(home: Path, names: dict[str, str]) -> bool:
    """A safe name with a dot is a hash of the real one, which only the hub's database tells."""
    return home.name in names or slug(home.name) == home.name


def users_in(database: Path) -> list[str]:
    """Everybody whom the hub of this database knew; nobody if there is none."""
    if not database.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            return [str(row[0]) for row in opened.execute("SELECT name FROM users")]
    except sqlite3.Error:
        return []


def to_the_disk(folder: Path) -> None:
    """Everything on this file system to the disk: after a power cut the tree is there with its content, or not at all."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            number = ctypes.get_errno()
            raise DriverError(f"cannot write {folder} to the disk: {os.strerror(number)}")
    finally:
        os.close(handle)
