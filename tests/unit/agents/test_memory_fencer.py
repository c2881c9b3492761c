"""The twin's fencer on virtual time: it acknowledges, and ends what has lapsed, with the code of the real one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agents.drivers.base import Capacity
from agents.drivers.memory import MemorySite
from agents.drivers.memory_fencing import MemoryFencer
from tests.support.local_site import GIB, order
from tests.support.virtual import MemoryDisk, VirtualClock

RUN = Path("/run/iu")
S = 1_000_000_000


@pytest.mark.looptime
async def test_a_lapsed_hub_of_a_twin_is_ended_and_a_standing_one_is_not() -> None:
    clock, disk = VirtualClock(), MemoryDisk()
    site = MemorySite("iu", clock, Capacity(30_000, 60 * GIB))
    drivers = site.drivers()
    lapsing, standing = order(), order("cave", "def456")
    for wanted in (lapsing, standing):
        await drivers.hubs.start(wanted)
    at = clock.boottime_ns() + 5 * S
    entries = {
        lapsing.hub: {"epoch": [1, 1], "close_at": at, "stop_by": at},
        standing.hub: {"epoch": [1, 1], "close_at": None, "stop_by": None},
    }
    body = {"boot_id": clock.boot_id(), "incarnation": 1, "seq": 4, "hubs": entries}
    disk.replace(RUN / "lease.json", json.dumps(body).encode(), durable=False)
    fencer = MemoryFencer(site, disk, RUN, clock, longest_s=9.18)
    running = asyncio.get_running_loop().create_task(fencer.run())
    await clock.sleep(4.9)
    assert await drivers.hubs.list() == tuple(sorted((lapsing.hub, standing.hub)))
    assert json.loads(disk.files[RUN / "ack.json"])["seq"] == 4
    await clock.sleep(0.5)
    assert await drivers.hubs.list() == (standing.hub,)
    assert json.loads(disk.files[RUN / "ack.json"])["killed"] == [lapsing.hub]
    running.cancel()
