"""The machine's processes as /proc shows them: who lives, what marks it carries, and a signal to exactly one of them.

Needs the standard library alone, for the fencer uses it and has to stay small; starting processes and waiting for their
end is `federation/runtime/processes.py`. A process is named by pid and start time, so that a reused pid is never
signalled.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from federation.model.errors import DriverError
from federation.runtime.cgroups import Group

PROC = Path("/proc")
MARK = "HUBFED_"
ROLE_MARK, HUB_MARK = "HUBFED_ROLE", "HUBFED_HUB"
HUB_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")
PIECE = 32 * 1024
EMPTY_SCANS = 2  # one scan can miss what forks between two looks at /proc


@dataclass(frozen=True, slots=True, order=True)
class ProcessId:
    """`started` is the start time in clock ticks since boot: with it a pid is unique within this boot."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Found:
    """A living process."""

    id: ProcessId
    parent: int
    marks: Mapping[str, str]
    """Its own `HUBFED_*` variables; empty if it wiped them or belongs to somebody else."""

    @property
    def pid(self) -> int:
        """The number alone, for people."""
        return self.id.pid


class ProcessTable:
    """Looks at /proc; remembers nothing."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc

    def identify(self, pid: int) -> ProcessId | None:
        """The living process that has this pid now."""
        stat = self._stat(pid)
        return None if stat is None else ProcessId(pid, stat[1])

    def alive(self, who: ProcessId) -> bool:
        """Whether exactly this process lives; a zombie does not."""
        return self.identify(who.pid) == who

    def signal(self, who: ProcessId, number: int) -> bool:
        """Signal exactly this process; False if it is gone. DriverError if it belongs to another user."""
        try:
            handle = os.pidfd_open(who.pid)
        except OSError:
            return False
        try:
            if self.identify(who.pid) != who:  # the handle pins the pid, so this answer stays true
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise DriverError(f"may not signal pid {who.pid}: it belongs to another user", delay_s=None) from error
        finally:
            os.close(handle)
        return True

    def find(self, marks: Mapping[str, str], group: Group | None = None, *, descendants: bool = True) -> list[Found]:
        """Every living process whose environment carries all `marks`, their descendants, and the group's members."""
        members = group.members() if group is not None else set()
        return chosen(self.scan(), marks, members, descendants=descendants)

    def scan(self) -> dict[int, Found]:
        """Everything that lives now, by pid; one look of some milliseconds."""
        found: dict[int, Found] = {}
        for name in os.listdir(self._proc):  # noqa: PTH208 - names are all that is wanted, a thousand of them
            if not name.isdigit():
                continue
            pid = int(name)
            stat = self._stat(pid)
            if stat is not None:
                found[pid] = Found(ProcessId(pid, stat[1]), stat[0], self._marks(pid))
        return found

    def _stat(self, pid: int) -> tuple[int, int] | None:
        """(parent, start time), or None for what is gone or a zombie."""
        try:
            line = self._read(pid, "stat")
        except OSError:
            return None
        fields = line[line.rindex(b")") + 2 :].split()
        threads = int(fields[17])
        if fields[0] in {b"Z", b"X"} and threads <= 1:  # a zombie with threads still holds its files and ports
            return None
        return int(fields[1]), int(fields[19])

    def _marks(self, pid: int) -> dict[str, str]:
        """What its environment says. A process of another user is a student's, whatever else it claims to be."""
        try:
            block = self._read(pid, "environ")
        except OSError:
            return {}
        if MARK.encode() not in block:
            return {}
        pairs = (item.partition(b"=") for item in block.split(b"\0") if item.startswith(MARK.encode()))
        marks = {name.decode(errors="replace"): value.decode(errors="replace") for name, _equals, value in pairs}
        if not HUB_NAME.fullmatch(marks.get(HUB_MARK, "-")):
            del marks[HUB_MARK]
        if ROLE_MARK in marks and not self._is_ours(pid):
            marks[ROLE_MARK] = "server"
        return marks

    def _is_ours(self, pid: int) -> bool:
        """By the real uid; the owner of the folder is root for whoever asks not to be dumped."""
        try:
            line = next(line for line in self._read(pid, "status").splitlines() if line.startswith(b"Uid:"))
        except (OSError, StopIteration):
            return False
        return int(line.split()[1]) == os.getuid()

    def _read(self, pid: int, name: str) -> bytes:
        """A whole file; without the layers of `open`, for a scan reads two or three per process."""
        handle = os.open(f"{self._proc}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = part = os.read(handle, PIECE)
            while part:
                part = os.read(handle, PIECE)
                content += part
            return content
        finally:
            os.close(handle)


def chosen(
    everything: Mapping[int, Found], marks: Mapping[str, str], members: Set[int], *, descendants: bool = True
) -> list[Found]:
    """Of one scan: what carries all `marks` (no marks choose nothing), the `members` of a control group, and their
    descendants; never this process itself."""
    roots = {pid for pid, found in everything.items() if marks and marks.items() <= found.marks.items()}
    roots |= members & everything.keys()
    wanted = _with_descendants(roots, everything) if descendants else roots
    return [everything[pid] for pid in sorted(wanted - {os.getpid()})]


def _with_descendants(roots: set[int], everything: Mapping[int, Found]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, found in everything.items():
        children.setdefault(found.parent, []).append(pid)
    reached: set[int] = set()
    front = list(roots)
    while front:
        pid = front.pop()
        if pid not in reached:
            reached.add(pid)
            front.extend(children.get(pid, ()))
    return reached
