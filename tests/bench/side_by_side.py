"""Timing things side by side: in turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one thing."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def __str__(self) -> str:
        return f"{self.median * 1000:.0f} ms (least {min(self.runs) * 1000:.0f}, most {max(self.runs) * 1000:.0f})"


def in_turns(commands: Sequence[Sequence[str]], runs: int, env: Mapping[str, str] | None = None) -> list[Timing]:
    """Run each command `runs` times, one after the other in turns; one unmeasured turn comes first."""
    seconds: list[list[float]] = [[] for _ in commands]
    for turn in range(runs + 1):
        for index, command in enumerate(commands):
            began = time.perf_counter()
            subprocess.run(command, env=env, check=True, capture_output=True)
            if turn:
                seconds[index].append(time.perf_counter() - began)
    return [Timing(tuple(found)) for found in seconds]


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """What was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def verdict(value: float, most: float) -> str:
    """Whether a goal was met."""
    return "met" if value <= most else "**missed**"
