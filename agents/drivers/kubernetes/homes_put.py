"""In the pod: homes of a copy into new folders of the homes that are mounted here, while students work in them or not.

A home is a volume of its own, so a copy has to be written within it to be renamed into place: into a folder there that is
root's alone. Its student may rename that folder, or put another thing in its place, at any moment; so it is opened once and
reached by that handle from then on, never by its name. Another student's home is mounted beside it.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agents.drivers.base import CopyRef, Placed
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copies_in_store import CopiesInStore
from agents.drivers.local.restoring import to_the_disk
from agents.drivers.local.settings import Owner
from agents.drivers.local.students import give
from federation.model.errors import DriverError

STAGE = ".hubfed-recovering"
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class PuttingIntoHomes:
    """`tree` has the homes. `owner`: whose everything in them is."""

    store: CopiesInStore
    tree: Path
    owner: Owner

    async def every(
        self, copy: CopyRef, homes: Mapping[str, str], folder: str, password: str, until_mono: float
    ) -> Placed:
        """Each of these homes (and whose each is) as the new `folder` of that home; what is there is left alone."""
        done: list[str] = []
        there: list[str] = []
        for home in homes:
            placed = await self._one(copy, home, folder, password, until_mono)
            (done if placed else there).append(home)
        return Placed(tuple(done), tuple(there))

    async def _one(self, copy: CopyRef, home: str, folder: str, password: str, until_mono: float) -> bool:
        place = self.tree / home
        if await blocking(os.path.lexists, place / folder):
            return False
        reading = replace(self.store.reading, homes_dir=place)
        if refusal := await reading.no_room_for(home, copy, password, until_mono):
            raise DriverError(refusal)
        with _opened(place) as (here, stage):
            within = Path(f"/proc/{os.getpid()}/fd/{stage}")
            await reading.extract(copy, within, password, until_mono, only=f"/{home}")
            return await blocking(self._place, within / home, stage, home, here, folder)

    def _place(self, restored: Path, stage: int, home: str, here: int, folder: str) -> bool:
        if os.getuid() == 0:
            give(restored, self.owner.uid, self.owner.gid)
        to_the_disk(restored)
        if _is_there(folder, here):
            return False
        try:
            os.rename(home, folder, src_dir_fd=stage, dst_dir_fd=here)
        except OSError:
            if not _is_there(folder, here):  # else the student made something of this name meanwhile
                raise
            return False
        os.fsync(here)
        return True


@contextmanager
def _opened(place: Path) -> Iterator[tuple[int, int]]:
    """The home and an empty folder in it that its student cannot enter, both opened; that folder is gone afterwards."""
    with ExitStack() as stack:
        try:
            here = _open(stack, place, None)
            _remove(here)
            os.mkdir(STAGE, PRIVATE, dir_fd=here)
            stack.callback(_remove_if_possible, here)
            stage = _open(stack, STAGE, here)
            with os.scandir(stage) as entries:
                replaced = os.fstat(stage).st_uid != os.geteuid() or any(entries)
        except OSError as error:
            raise DriverError(f"cannot write into the home {place.name}: {error.strerror}") from error
        if replaced:
            raise DriverError(f"somebody puts other things into {place.name} where work is being recovered")
        yield here, stage


def _open(stack: ExitStack, path: str | Path, below: int | None) -> int:
    """A folder, and no link to one."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=below)
    stack.callback(os.close, handle)
    return handle


def _is_there(name: str, here: int) -> bool:
    try:
        os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove(here: int) -> None:
    """What a pod that was killed left of it, or whatever has its name."""
    try:
        found = os.stat(STAGE, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(STAGE, dir_fd=here)
    else:
        os.unlink(STAGE, dir_fd=here)


def _remove_if_possible(here: int) -> None:
    with suppress(OSError):  # its student may have put anything into its place
        _remove(here)
