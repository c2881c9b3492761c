"""What an agent sees of copies with its own restic, whatever kind of site it has: whether it can, what there is.

Reads only, and never locks. Whatever needs the homes themselves is elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agents.drivers.base import CopiesCapabilities, Copy, CopyRef
from agents.drivers.local.copy_listing import Described, copies
from agents.drivers.local.copy_reading import CopyReading
from agents.drivers.local.copy_store import store_refusal, unreachable
from agents.drivers.local.restic_runs import CopyFailed, ResticRuns
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError, FederationError
from federation.runtime.clock import Clock
from federation.runtime.processes import Processes
from federation.runtime.restic_program import Restic, Trouble


@dataclass(slots=True)
class CopiesInStore:
    """Of one site. `find` is asked when restic is needed first."""

    settings: LocalSettings
    processes: Processes
    clock: Clock
    find: Callable[[], Awaitable[Restic]]
    reading: CopyReading = field(init=False)
    _runs: ResticRuns | None = None

    def __post_init__(self) -> None:
        self.reading = CopyReading(self.runs, self.find, self.settings.homes_dir)

    async def capabilities(self) -> CopiesCapabilities:
        """Look at restic and the store."""
        store = self.settings.copies
        if store is None:
            return CopiesCapabilities("", "", f"site {self.settings.site} has no store of copies (spec.copies)")
        try:
            restic = await self.find()
        except FederationError as error:
            return CopiesCapabilities("", store.place, error.message)
        refusal = await asyncio.to_thread(store_refusal, store, self.settings.site) or await unreachable(store)
        return CopiesCapabilities(str(restic), store.place, refusal)

    async def of(self, site: str, hub: str, password: str, until_mono: float) -> tuple[Copy, ...]:
        """The copies of the hub that `site` made, oldest first."""
        runs = self.runs()
        try:
            return copies(await runs.read(runs.of(site, hub), ("snapshots", "--json"), password, until_mono))
        except CopyFailed as error:
            if error.trouble is Trouble.NO_REPOSITORY:
                return ()
            raise

    async def now(self, copy: CopyRef, password: str, until_mono: float) -> Described:
        """What the copy is, asked of the store of now; an error says why it cannot be read."""
        self.reading.forget(copy)
        return await self.reading.described(copy, password, until_mono)

    def runs(self) -> ResticRuns:
        """DriverError if the site has no store."""
        if self._runs is None:
            if self.settings.copies is None:
                raise DriverError(f"site {self.settings.site} has no store of copies (spec.copies)", delay_s=60.0)
            self._runs = ResticRuns(self.settings, self.settings.copies, self.processes, self.clock, self.find)
        return self._runs
