"""The machine's time for a process that has no event loop: the fencer. Everything else takes a `Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path


def boottime_ns() -> int:
    """CLOCK_BOOTTIME in ns: what processes of one machine share in the lease file (PROTOCOL.md section 4)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Names this boot of this machine; boot times of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def wall() -> datetime:
    """Aware, UTC: for records that people read."""
    return datetime.now(UTC)


def pause(seconds: float) -> None:
    """Wait, blocking."""
    time.sleep(seconds)
