"""The clock as a port; it and `machine_time` alone read clocks.

Deadlines between hosts are never compared by wall time (DESIGN.md 4.2).
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Protocol

from federation.runtime import machine_time


class Clock(Protocol):
    """A port: given at the composition root, virtual in simulations."""

    def now(self) -> datetime:
        """Wall time, aware, UTC: for records that people read."""
        ...

    def mono(self) -> float:
        """Seconds that only go forward within this process: for deadlines and durations."""
        ...

    def boottime_ns(self) -> int:
        """CLOCK_BOOTTIME in ns: what processes of one machine share in the lease file (PROTOCOL.md section 4)."""
        ...

    def boot_id(self) -> str:
        """Names this boot of this machine; boot times of another boot mean nothing."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return machine_time.wall()

    def mono(self) -> float:
        return time.monotonic()

    def boottime_ns(self) -> int:
        return machine_time.boottime_ns()

    def boot_id(self) -> str:
        return machine_time.boot_id()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
