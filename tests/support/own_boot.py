"""A boot of its own for a host: another boot id, and an uptime that begins where a test says, by namespaces of the kernel.

Who is started with a boot's words before its own sees CLOCK_BOOTTIME, CLOCK_MONOTONIC and /proc/uptime shifted, and the
boot's id in the kernel's place; nobody else does. Shifts are fixed when a process is in, so that a boot is possible and a
suspend (boot time goes on, monotonic time stands still under who lives) is not.
"""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.runtime import machine_time

BOOT_ID = "/proc/sys/kernel/random/boot_id"
SECOND_NS = 1_000_000_000
LAY_OVER = f'mount --bind "$0" {BOOT_ID} && exec "$@"'


@dataclass(frozen=True, slots=True)
class Boot:
    """Shifts are whole seconds that are added to the machine's own clocks."""

    id_file: Path
    boottime_s: int
    monotonic_s: int

    @classmethod
    def at_uptime(cls, uptime_s: int, id_file: Path) -> Boot:
        """A new boot, that long ago by its own clocks. Both shifts, as a machine that was suspended has two uptimes."""
        id_file.write_text(f"{uuid.uuid4()}\n")
        id_file.chmod(0o444)
        monotonic_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        return cls(
            id_file,
            uptime_s - machine_time.boottime_ns() // SECOND_NS,
            uptime_s - monotonic_ns // SECOND_NS,
        )

    @property
    def id(self) -> str:
        return self.id_file.read_text().strip()

    def words(self) -> list[str]:
        """What stands before a command."""
        shifts = ("--boottime", str(self.boottime_s), "--monotonic", str(self.monotonic_s))
        return ["unshare", "--mount", "--time", *shifts, "sh", "-c", LAY_OVER, str(self.id_file)]

    def now_ns(self) -> int:
        """CLOCK_BOOTTIME of this boot."""
        return machine_time.boottime_ns() + self.boottime_s * SECOND_NS

    def true_ns(self, at_ns: int) -> int:
        """The machine's own CLOCK_BOOTTIME at a moment of this boot."""
        return at_ns - self.boottime_s * SECOND_NS


@functools.cache
def refused() -> str:
    """Why hosts cannot have boots of their own here; empty: they can. Also a clock that is set back is tried."""
    with tempfile.TemporaryDirectory(prefix="hubfed-boot-") as folder:
        for uptime_s in (1_000_000, 3):
            boot = Boot.at_uptime(uptime_s, Path(folder) / "boot_id")
            words = [*boot.words(), "cat", "/proc/uptime", BOOT_ID]
            try:
                tried = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
            except OSError as error:
                return str(error)
            if tried.returncode != 0:
                return tried.stderr.strip()[-300:]
            uptime, _idle, boot_id = tried.stdout.split()
            if boot_id != boot.id or not uptime_s <= float(uptime) < uptime_s + 30:
                return f"the kernel shows boot {boot_id}, up for {uptime} s, in place of {boot.id} and {uptime_s} s"
    return ""


def needed() -> None:
    """Skips with the reason where hosts cannot have boots of their own, a failure under CI."""
    reason = refused()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"no boots of their own for hosts here: {reason}")
    if reason:
        pytest.skip(f"no boots of their own for hosts here: {reason}")
