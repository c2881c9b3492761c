"""The reserved user of test servers at a `local` site.

Its home lies beside the trees of homes, not in one, so that it is in no copy. The folder is made first and removed last: a
hub that has one has a tester, whoever was killed in between.
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass

from agents.drivers.hub_local import LocalHubs
from agents.drivers.local.census import look
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.students import TESTER_HOME, tester_home
from federation.core.home_names import slug
from federation.model.errors import DriverError
from federation.model.scalars import TESTER
from federation.runtime.processes import Processes

GRACE_S, LIMIT_S = 3.0, 15.0


@dataclass(frozen=True, slots=True)
class LocalTesters:
    """The TesterDriver."""

    settings: LocalSettings
    processes: Processes
    hubs: LocalHubs

    async def admit(self, hub: str, valid_s: float) -> str:
        file = self.hubs.file(hub)
        if file is None:
            raise DriverError(f"{hub}: no such hub at this site", delay_s=None)
        try:
            tester_home(self.settings.homes_dir, hub).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DriverError(f"{hub}: no home for a test server can be made: {error.strerror}") from error
        await self.hubs.api.add_users(file.address, (TESTER,))
        return await self.hubs.api.own_server_token(file.address, TESTER, valid_s)

    async def dismiss(self, hub: str) -> None:
        await self.processes.stop(self.settings.marks(HUB=hub, USER=slug(TESTER)), grace_s=GRACE_S, limit_s=LIMIT_S)
        file = self.hubs.file(hub)
        seen = await look(self.settings, self.processes, self.hubs.cgroups, hub)
        if file is not None and seen.hub_lives:
            await self.hubs.api.remove_user(file.address, TESTER)
        elif file is not None:  # the user is in its database: the folder stays, so that this is not forgotten
            raise DriverError(f"{hub}: its hub does not run, so that the user of test servers is still known to it")
        try:
            await asyncio.to_thread(_remove, self.settings, hub)
        except OSError as error:
            raise DriverError(f"{hub}: the home of a test server cannot be removed: {error.strerror}") from error

    async def left(self) -> tuple[str, ...]:
        found = self.settings.homes_dir.glob(f"{TESTER_HOME}*")
        return tuple(sorted(path.name.removeprefix(TESTER_HOME) for path in found))


def _remove(settings: LocalSettings, hub: str) -> None:
    home = tester_home(settings.homes_dir, hub)
    if home.exists():
        shutil.rmtree(home)
