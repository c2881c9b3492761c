"""One bench for the contract of copies: two sites that share a store, real directories with restic or the twin."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from agents.drivers.base import Capacity, CopiesDriver, SiteDrivers
from agents.drivers.local.settings import CopyStore, LocalSettings
from agents.drivers.local.site import local_site
from agents.drivers.memory import MemorySite
from agents.drivers.memory_copies import MemoryStore
from federation.model.errors import Unavailable
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from federation.runtime.restic_program import Restic, find_restic
from tests.support.local_site import GIB, order, until
from tests.support.quick_restic import quick_restic
from tests.support.s3 import S3

ROOT = Path(__file__).resolve().parents[2]
HUB = "atm101-abc123"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SECRET = "the repository's own password"
Files = dict[str, bytes]


class CopiesBench(Protocol):
    """Sites `iu` and `tacc`."""

    def drivers(self, site: str) -> SiteDrivers:
        """As the site's agent has them."""
        ...

    def anew(self, site: str) -> SiteDrivers:
        """As a restarted agent makes them."""
        ...

    def write(self, site: str, files: Files, hub: str = HUB) -> None:
        """Students write: `user/name` -> content. The tree must be there."""
        ...

    def read(self, site: str, hub: str = HUB) -> Files:
        """Every file of students."""
        ...

    def damage(self, site: str, hub: str = HUB) -> None:
        """Spoil the repository that the site wrote."""
        ...

    def unmount(self) -> None:
        """Let the store be gone."""
        ...

    def copies(self, site: str) -> CopiesDriver:
        """For short."""
        return self.drivers(site).copies


class MemoryCopiesBench(CopiesBench):
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.sites = {
            name: MemorySite(name, SystemClock(), Capacity(30_000, 60 * GIB), start_delay_s=0.01, store=self.store)
            for name in ("iu", "tacc")
        }

    def drivers(self, site: str) -> SiteDrivers:
        return self.sites[site].drivers()

    def anew(self, site: str) -> SiteDrivers:
        return self.sites[site].drivers()

    def write(self, site: str, files: Files, hub: str = HUB) -> None:
        self.sites[site].files[hub].update(files)

    def read(self, site: str, hub: str = HUB) -> Files:
        return dict(self.sites[site].files.get(hub, {}))

    def damage(self, site: str, hub: str = HUB) -> None:
        self.store.damaged.add((site, hub))

    def unmount(self) -> None:
        self.store.refusal = "the store is not there: is it mounted?"


class LocalCopiesBench(CopiesBench):
    """`data` is the folder in which the store has its files, whatever stands before it."""

    def __init__(self, root: Path, data: Path, stores: Mapping[str, CopyStore]) -> None:
        self.root, self.data, self.stores = root, data, stores
        self.clock = SystemClock()
        self.processes = SystemProcesses(self.clock)
        self.settings = {name: self._settings(name, first) for name, first in (("iu", 310_000), ("tacc", 410_000))}
        self._drivers = {name: self.anew(name) for name in self.settings}

    def _settings(self, site: str, first: int) -> LocalSettings:
        home = self.root / site
        for folder in (home, home / "state"):
            folder.mkdir(mode=0o711)
        return LocalSettings(
            site=site,
            federation=f"test-{self.root.name}",
            state_dir=home / "state",
            runtime_dir=home / "run",
            homes_dir=home / "homes",
            capacity=Capacity(30_000, 60 * GIB),
            first_student_uid=first,
            copies=self.stores[site],
        )

    def drivers(self, site: str) -> SiteDrivers:
        return self._drivers[site]

    def anew(self, site: str, **changes: object) -> SiteDrivers:
        settings = replace(self.settings[site], **changes)  # type: ignore[arg-type]
        return local_site(settings, self.processes, self.clock)

    def tree(self, site: str, hub: str = HUB) -> Path:
        return self.settings[site].homes_dir / hub

    def repository(self, site: str, hub: str = HUB) -> Path:
        return self.data / site / hub

    def write(self, site: str, files: Files, hub: str = HUB) -> None:
        for name, content in files.items():
            path = self.tree(site, hub) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def read(self, site: str, hub: str = HUB) -> Files:
        tree = self.tree(site, hub)
        homes = [home for home in tree.iterdir() if home.is_dir()] if tree.is_dir() else []
        return {
            str(path.relative_to(tree)): path.read_bytes()
            for home in homes
            for path in home.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    def damage(self, site: str, hub: str = HUB) -> None:
        for index in (self.repository(site, hub) / "index").iterdir():
            index.chmod(0o600)
            index.write_bytes(b"not what it was" * 20)

    def unmount(self) -> None:
        shutil.rmtree(self.data)

    async def close(self) -> None:
        await self.processes.stop({"HUBFED_DIR": f"test-{self.root.name}"}, grace_s=0.5)
        for drivers in self._drivers.values():
            await drivers.hubs.close()
            await drivers.edge.close()


class S3CopiesBench(LocalCopiesBench):
    server: S3

    def unmount(self) -> None:
        self.server.kill()


@asynccontextmanager
async def directory_bench(base: str | None = MEMORY) -> AsyncIterator[LocalCopiesBench]:
    """Two sites on this machine that share a folder below `base` (None: where temporary files go)."""
    with quick_restic(await restic_or_skip(), SECRET), bench_folder(base) as root:
        (root / "store").mkdir(mode=0o700)
        bench = LocalCopiesBench(root, root / "store", dict.fromkeys(("iu", "tacc"), CopyStore(str(root / "store"))))
        try:
            yield bench
        finally:
            await bench.close()


@asynccontextmanager
async def s3_bench(server: S3, *, from_nothing: bool = False) -> AsyncIterator[S3CopiesBench]:
    """Two sites that share a bucket of a running server, each with keys of its own. `from_nothing`: restic itself makes
    the repositories, as it does in a federation."""
    stores = {site: server.store(site) for site in ("iu", "tacc")}
    served = (stores["iu"].place.rstrip("/"), str(server.data / "homes"))
    restic = await restic_or_skip()
    with nullcontext() if from_nothing else quick_restic(restic, SECRET, served), bench_folder() as root:
        bench = S3CopiesBench(root, server.data / "homes", stores)
        bench.server = server
        try:
            yield bench
        finally:
            await bench.close()


@contextmanager
def bench_folder(base: str | None = MEMORY) -> Iterator[Path]:
    """For everything of a bench; students may pass through it."""
    root = Path(tempfile.mkdtemp(prefix="hubfed-test-", dir=base))
    root.chmod(0o711)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def restic_or_skip() -> Restic:
    """From PATH or, once per machine, from Debian. Missing: a failure under CI, a skip with the reason elsewhere."""
    got = subprocess.run([ROOT / "scripts/get-restic"], capture_output=True, text=True, timeout=300, check=False)
    with tempfile.TemporaryDirectory(prefix="hubfed-test-") as folder:
        try:
            return await find_restic(SystemProcesses(SystemClock()), Path(folder, "log"))
        except Unavailable as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"{error.message}: {got.stderr.strip()}")


async def running_hub(bench: CopiesBench, site: str) -> None:
    """Start the hub there until something of it runs; its homes are made as an agent does."""
    drivers, wanted = bench.drivers(site), order()
    await drivers.homes.ensure(wanted.hub, wanted.epoch)
    await drivers.hubs.start(wanted)

    async def runs() -> bool:
        return (await drivers.hubs.observe(wanted.hub)).processes > 0

    await until(runs, f"{wanted.hub} runs")
