"""Reading copies with restic: what one is, whether there is room for it, and its files into a folder. Never locks."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from agents.drivers.base import CopyRef
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copy_listing import BLOCK, Described, Node, described, nodes
from agents.drivers.local.restic_runs import SENTENCES, CopyFailed, ResticRuns
from federation.model.errors import DriverError
from federation.runtime.restic_program import SPARSE, Restic, Trouble

LOOK = ("ls", "--json", "--no-cache")  # an index that lies in the cache says nothing about the store of now
SPARE_BYTES = 256 << 20  # other classes write, too


@dataclass(slots=True)
class CopyReading:
    """For one site; `runs` is called when restic is needed first."""

    runs: Callable[[], ResticRuns]
    find: Callable[[], Awaitable[Restic]]
    homes_dir: Path
    _known: dict[CopyRef, Described] = field(default_factory=dict)

    def forget(self, copy: CopyRef) -> None:
        """Ask the store again about this copy."""
        self._known.pop(copy, None)

    async def described(self, copy: CopyRef, password: str, until_mono: float) -> Described:
        """What the copy is; a copy never changes, so it is asked for once."""
        if copy not in self._known:
            runs = self.runs()
            repository = runs.of(copy.site, copy.hub)
            found = described(await runs.read(repository, (*LOOK, copy.snapshot, "/"), password, until_mono))
            if found is None:
                sentence = SENTENCES[Trouble.NO_SNAPSHOT].format(hub=copy.hub, site=copy.site, url=repository.url)
                raise CopyFailed(Trouble.NO_SNAPSHOT, f"{sentence}: {copy.snapshot}")
            if found.hub != copy.hub:
                raise DriverError(f"the copy {copy.snapshot} is of {found.hub}, not of {copy.hub}", delay_s=None)
            self._known[copy] = found
        return self._known[copy]

    async def no_room(self, found: Described) -> str:
        """Why the copy does not fit here; empty if it does."""
        return self._lacks(found.hub, found.room(sparse=(await self.find()).can(SPARSE)))

    async def no_room_for(self, home: str, copy: CopyRef, password: str, until_mono: float) -> str:
        """The same for one home of it."""
        listed = await self.listed(home, copy, password, until_mono)
        sizes = [node.bytes for node in listed.values()]
        return self._lacks(f"the home {home}", sum(sizes) + len(sizes) * BLOCK)

    async def listed(self, home: str, copy: CopyRef, password: str, until_mono: float) -> dict[str, Node]:
        """All that is in one home, without folders; empty if the copy has no such home. One home, because the listing of
        a whole class may be larger than what fits into memory."""
        runs = self.runs()
        words = ("ls", "--json", "--recursive", copy.snapshot, f"/{home}")
        said = await runs.read(runs.of(copy.site, copy.hub), words, password, until_mono)
        return await blocking(nodes, said.splitlines())

    def _lacks(self, what: str, needed: int) -> str:
        folder = self.homes_dir
        while not folder.exists():
            folder = folder.parent
        needed, free = needed + SPARE_BYTES, shutil.disk_usage(folder).free
        return "" if needed <= free else f"{what} needs {needed >> 20} MiB at {folder}, and {free >> 20} MiB are free"

    async def extract(self, copy: CopyRef, into: Path, password: str, until_mono: float, only: str = "") -> None:
        """Write its files, `only` those below this path; every file that was written is read again and compared."""
        runs = self.runs()
        words = ["restore", copy.snapshot, "--target", str(into), "--verify"]
        if (await self.find()).can(SPARSE):
            words.append("--sparse")
        if only:
            words += ["--include", only]
        await runs.read(runs.of(copy.site, copy.hub), tuple(words), password, until_mono)
