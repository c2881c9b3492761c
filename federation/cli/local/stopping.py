"""Stopping a local federation, whole: supervisor first, so that nothing is restarted, then all that carries its mark."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time

from federation.cli.local.layout import Layout, load
from federation.cli.local.starting import supervisor
from federation.runtime.cgroups import Cgroups, site_group
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import Processes

SUPERVISOR_S = 30.0
GRACE_S, LIMIT_S = 6.0, 40.0


def stop_all(layout: Layout, processes: Processes) -> int:
    """Stop everything and verify it; returns how many processes there were. DriverError names what is left. Outages of
    `fedctl lab` end with it: what is frozen is thawed first, so that it can stop by itself."""
    for found in processes.find(layout.marks):
        processes.signal(found.id, signal.SIGCONT)
    keeper = supervisor(layout, processes)
    if keeper is not None:
        processes.signal(keeper, signal.SIGTERM)
        until = time.monotonic() + SUPERVISOR_S  # noqa: TID251 - bounded patience with our own supervisor
        while processes.alive(keeper) and time.monotonic() < until:  # noqa: TID251
            time.sleep(0.05)
        processes.signal(keeper, signal.SIGKILL)
    stopped = asyncio.run(processes.stop(layout.marks, grace_s=GRACE_S, limit_s=LIMIT_S))
    choices = load(layout, LocalDisk())
    for site in (
        choices.sites if choices is not None else ()
    ):  # an agent that ended before its hubs did has left its group
        Cgroups.probe(site_group(layout.marks["HUBFED_DIR"], site)).remove()
    layout.supervisor_lock.unlink(missing_ok=True)
    shutil.rmtree(layout.state("lab"), ignore_errors=True)
    return stopped + (keeper is not None)
