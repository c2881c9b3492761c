"""What a cluster has on this machine: a folder, control groups, mounts, processes; and how all of it goes.

A folder is locked by the process that owns it. Whoever finds one that is not locked any more, because its owner was killed,
clears away what that cluster had: `sweep`, before a cluster comes up.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.network import NAMESPACES, remove_namespace
from tests.testbed import control_groups

PREFIX = "hubfed-kube-"
MARK = "HUBFED_TESTBED"
LOCK, NETWORK = "lock", "network"
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Belongings:
    """Of one cluster; `folder` is also its mark: processes carry it in their environment."""

    folder: Path
    lock: int

    @classmethod
    def claim(cls, network: str = "") -> Belongings:
        """A new folder; `network` is the mark of the namespaces that go with it if its owner is killed."""
        fresh = Path(tempfile.mkdtemp(prefix=".hubfed-kube-"))
        fresh.chmod(0o755)  # images say as whom pods run: they reach their volumes through here
        (fresh / NETWORK).write_text(network)
        lock = os.open(fresh / LOCK, os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # locked before it has its name: nobody can find it without an owner
        return cls(fresh.rename(fresh.with_name(f"{PREFIX}{secrets.token_hex(4)}")), lock)

    @property
    def group(self) -> str:
        """The name of its control group in each hierarchy."""
        return self.folder.name

    @property
    def mark(self) -> dict[str, str]:
        """For the environment of what it starts."""
        return {MARK: self.folder.name}

    def processes(self) -> set[int]:
        """All that run: in its control group, or with its mark."""
        needle = f"{MARK}={self.folder.name}".encode()
        return control_groups.processes(self.group) | {pid for pid, env in _environments() if needle in env}

    def release(self) -> None:
        """End it all and clear it away. A process that will not end is an error: it would be in the way of others."""
        deadline = time.monotonic() + LIMIT_S
        while left := self.processes():
            assert time.monotonic() < deadline, f"{self.folder.name}: these do not end: {sorted(left)}"
            control_groups.kill(self.group)
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        control_groups.remove(self.group)
        assert not (here := mounts(self.folder)), f"mounted by whom? {here}"  # the node's are in a namespace of its own
        shutil.rmtree(self.folder)
        os.close(self.lock)


def sweep() -> list[str]:
    """Clear away what is left of clusters whose owners were killed; their names."""
    swept = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another one may sweep or release it at this moment
            if folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            network = (folder / NETWORK).read_text()
            Belongings(folder, lock).release()
            for namespace in namespaces(network):
                remove_namespace(namespace)
            swept.append(folder.name)
    return swept


def namespaces(network: str) -> list[str]:
    """The network namespaces that carry a network's mark."""
    return sorted(path.name for path in NAMESPACES.glob(f"hubfed-{network}-*")) if network else []


def mounts(folder: Path) -> list[str]:
    """What this process sees mounted below a folder."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return [point for point in points if point.startswith(f"{folder}/")]


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile, or is somebody else's
                yield int(folder.name), (folder / "environ").read_bytes().split(b"\0")
