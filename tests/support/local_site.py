"""A local site for tests: real drivers in a temporary directory, or their in-memory twin, with orders to give them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from agents.drivers.base import Capacity, HubOrder, HubView, Phase, SiteDrivers
from agents.drivers.local.settings import LocalSettings
from agents.drivers.local.site import local_site
from federation.model.classroom import Classroom, ClassroomSpec
from federation.model.identity import Epoch
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import SystemProcesses
from federation.runtime.volatile import volatile_dir

GIB = 1 << 30
PASSWORD = "correct horse"
E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)


def spec(name: str = "atm101", **sections: Any) -> ClassroomSpec:
    """A small class; `sections` replace whole sections."""
    content: dict[str, Any] = {
        "term": {"start": date(2026, 8, 24), "end": date(2026, 12, 18), "timezone": "America/Chicago"},
        "contacts": {"instructor": "prof"},
        "roster": {"expected": 2, "admins": ["prof"], "users": ["ada", "bob"]},
        "auth": {"type": "dummy"},
        "image": {"name": "unidata/atm101", "tag": "2026a"},
        "dns": {"host": f"{name}.localhost"},
    }
    return ClassroomSpec.model_validate({**content, **sections})


def order(
    name: str = "atm101", uid6: str = "abc123", epoch: Epoch = E1, generation: int = 1, **sections: Any
) -> HubOrder:
    """An order to run that class."""
    return HubOrder(
        hub=f"{name}-{uid6}",
        name=name,
        epoch=epoch,
        generation=generation,
        classroom=Classroom(name=name, spec=spec(name, **sections)),
        public_url=f"http://{name}.localhost:8000",
        secrets={"auth": PASSWORD},
    )


def lease(hubs: dict[str, tuple[Epoch, int | None]], *, seq: int = 1, boot_id: str = "", incarnation: int = 1) -> bytes:
    """The content of a lease file: hub -> (epoch, close_at in CLOCK_BOOTTIME ns or None)."""
    entries = {
        hub: {"epoch": [epoch.era, epoch.n], "close_at": close_at, "stop_by": None}
        for hub, (epoch, close_at) in hubs.items()
    }
    boot = boot_id or SystemClock().boot_id()
    return json.dumps({"boot_id": boot, "incarnation": incarnation, "seq": seq, "hubs": entries}).encode()


@dataclass
class LocalSite:
    """A real site in `root`."""

    root: Path
    settings: LocalSettings
    processes: SystemProcesses
    drivers: SiteDrivers
    clock: SystemClock = field(default_factory=SystemClock)

    def drivers_anew(self) -> SiteDrivers:
        """As a restarted agent makes them."""
        return local_site(self.settings, self.processes, self.clock)

    def write_lease(self, content: bytes) -> None:
        """What the agent does on a grant."""
        LocalDisk().replace(self.settings.lease_file, content, durable=False)


@asynccontextmanager
async def running_site(site: str = "iu") -> AsyncIterator[LocalSite]:
    """Make it; at the end stop everything that carries its mark and remove its directories."""
    root = Path(tempfile.mkdtemp(prefix="hubfed-test-"))
    root.chmod(0o711)
    runtime = volatile_dir(root)
    settings = LocalSettings(
        site=site,
        federation=f"test-{root.name}",
        state_dir=root / "state",
        runtime_dir=runtime,
        homes_dir=root / "homes",
        capacity=Capacity(30_000, 60 * GIB),
    )
    settings.state_dir.mkdir(mode=0o700)
    clock = SystemClock()
    processes = SystemProcesses(clock)
    here = LocalSite(root, settings, processes, local_site(settings, processes, clock), clock)
    try:
        yield here
    finally:
        for hub in await here.drivers.hubs.list():
            await here.drivers.hubs.stop(hub)
        await processes.stop({"HUBFED_DIR": settings.federation}, grace_s=1.0)
        await here.drivers.hubs.close()
        await here.drivers.edge.close()
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(runtime, ignore_errors=True)


async def until(met: Callable[[], Awaitable[bool]], what: str, limit_s: float = 30.0) -> None:
    """Poll until it is so; the failure names what did not come."""
    clock = SystemClock()
    deadline_mono = clock.mono() + limit_s
    while not await met():
        assert clock.mono() < deadline_mono, f"not within {limit_s:.0f} s: {what}"
        await asyncio.sleep(0.1)


async def serving(drivers: SiteDrivers, wanted: HubOrder, limit_s: float = 60.0) -> HubView:
    """Repeat `start` as the agent does until the hub serves at the order's generation."""

    async def serves() -> bool:
        await drivers.hubs.start(wanted)
        view = await drivers.hubs.observe(wanted.hub)
        return view.phase is Phase.SERVING and view.generation == wanted.generation

    await until(serves, f"{wanted.hub} serves", limit_s)
    return await drivers.hubs.observe(wanted.hub)


def is_root() -> bool:
    """Whether students can get uids of their own."""
    return os.getuid() == 0
