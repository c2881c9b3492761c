"""The only module that reads clocks. Deadlines between hosts are never compared by wall time (DESIGN.md 4.2)."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol


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
        return datetime.now(UTC)

    def mono(self) -> float:
        return time.monotonic()

    def boottime_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
