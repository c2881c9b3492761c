"""Homes of a copy into new folders of the homes that are here, each its student's, while the hub runs or not.

Written beside the tree and renamed into place: a folder is there whole, or not at all, whoever was killed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.base import CopyRef, Placed
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copy_reading import CopyReading
from agents.drivers.local.restoring import Restoring
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.students import make_home, uid_of
from federation.core.home_names import slug
from federation.model.errors import DriverError, NotFound
from federation.runtime.disk import Disk


@dataclass(frozen=True, slots=True)
class PuttingAside:
    """For one hub; whoever calls holds its lock. `isolated`: each student has a system uid."""

    settings: LocalSettings
    homes: LocalHomes
    disk: Disk
    reading: CopyReading
    hub: str
    isolated: bool

    async def one(self, copy: CopyRef, user: str, folder: str, password: str, until_mono: float) -> bool:
        """The home of one student; False if there is a `folder` already, NotFound if the copy has no such home."""
        await self._check(folder)
        home = await self._home(user)
        if await _taken(home / folder):
            return False
        found = await self.reading.described(copy, password, until_mono)
        if slug(user) not in found.homes:
            raise no_home(copy, user)
        if refusal := await self.reading.no_room_for(slug(user), copy, password, until_mono):
            raise DriverError(refusal)
        async with self._extracted(copy, password, until_mono, f"/{slug(user)}") as (steps, beside):
            return await self._put(steps, beside, user, home, folder)

    async def every(
        self, copy: CopyRef, folder: str, users: tuple[str, ...], password: str, until_mono: float
    ) -> Placed:
        """All homes of the copy whose student is known; what is there already costs nothing."""
        await self._check(folder)
        found = await self.reading.described(copy, password, until_mono)
        owners, unknown = owners_of(found.homes, users)
        tree = self.homes.tree(self.hub)
        there = [name for name in owners if await _taken(tree / name / folder)]
        due = [name for name in owners if name not in there]
        done: list[str] = []
        if due:
            if refusal := await self.reading.no_room(found):
                raise DriverError(refusal)
            async with self._extracted(copy, password, until_mono) as (steps, beside):
                for name in due:
                    home = await self._home(owners[name])
                    placed = await self._put(steps, beside, owners[name], home, folder)
                    (done if placed else there).append(name)
        return Placed(tuple(done), tuple(sorted(there)), unknown)

    async def _check(self, folder: str) -> None:
        check_name(folder)
        if await self.homes.where(self.hub) is None:
            raise DriverError(f"the homes of {self.hub} are not at {self.settings.site}")

    async def _home(self, user: str) -> Path:
        first = self.settings.first_student_uid
        uid = uid_of(self.settings.uids_file, self.hub, user, first) if self.isolated else None
        return await blocking(make_home, self.homes.tree(self.hub), user, uid)

    @asynccontextmanager
    async def _extracted(
        self, copy: CopyRef, password: str, until_mono: float, only: str = ""
    ) -> AsyncIterator[tuple[Restoring, Path]]:
        """The files in a folder beside the tree, which is gone afterwards."""
        steps = Restoring(self.settings, self.homes, self.disk, self.hub)
        beside = self.homes.beside(self.hub)
        try:
            await blocking(steps.begin_aside, beside)
            await self.reading.extract(copy, beside, password, until_mono, only)
            yield steps, beside
        finally:
            await blocking(lambda: shutil.rmtree(beside, ignore_errors=True))

    async def _put(self, steps: Restoring, beside: Path, user: str, home: Path, folder: str) -> bool:
        restored = beside / slug(user)
        return await blocking(lambda: steps.put_aside(restored, user, home, folder, isolated=self.isolated))


def check_name(folder: str) -> None:
    """DriverError if nothing in a home can be called this."""
    if "/" in folder or "\0" in folder or folder.startswith("."):
        raise DriverError(f"{folder!r} cannot be the name of a folder in a home", delay_s=None)


def no_home(copy: CopyRef, user: str) -> NotFound:
    """What to say of a student of whom nothing is in the copy."""
    return NotFound(f"the copy {copy.snapshot[:8]} of {copy.hub} by {copy.site} has no home of {user}")


def owners_of(homes: frozenset[str], users: tuple[str, ...]) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Safe name -> student. A safe name that is no hash is its student's own; of a hash only the hub can tell."""
    named = {slug(user): user for user in users}
    owners = {home: named.get(home, home) for home in sorted(homes) if home in named or slug(home) == home}
    return owners, tuple(sorted(homes - owners.keys()))


async def _taken(path: Path) -> bool:
    """Whether anything has this name, be it a link that leads nowhere."""
    return await blocking(os.path.lexists, path)
