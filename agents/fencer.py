"""fed-fencer: ends hubs whose lease has lapsed, also when the agent is dead, hung or silent (DESIGN.md 4.2).

A small process of its own on the agent's machine. It reads nothing but the lease file, answers in `ack.json` beside it, and
shares nothing with the agent but that directory, which lies on tmpfs. At a local site it needs no network; where hubs are
in a cluster it asks the API server, and says so when it cannot.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import json
import os
import signal
import stat
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from agents.drivers.stopper import Stopper
from agents.drivers.stopper_local import LocalStopper
from agents.guard import Guard, newest_of
from federation.core.fencing import Fence, canary_of
from federation.model.errors import CATALOGUE, ExitCode, FederationError
from federation.runtime import machine_time
from federation.runtime.volatile import MEMORY_FILESYSTEMS, file_system

SECOND_NS = 1_000_000_000
LARGEST = 8 << 20  # a lease file is some hundred bytes per hub


def main() -> int:
    """Entry point; runs until SIGTERM. What it found to be stopped stays stopped."""
    parser = argparse.ArgumentParser(prog="fed-fencer", description="Ends hubs of one site whose lease has lapsed.")
    parser.add_argument("--site", required=True, metavar="NAME", help="the site's name")
    parser.add_argument("--state-dir", type=Path, required=True, metavar="DIR", help="as the agent's")
    parser.add_argument("--runtime-dir", type=Path, required=True, metavar="DIR", help="as the agent's; on tmpfs")
    parser.add_argument(
        "--longest",
        type=float,
        required=True,
        metavar="SECONDS",
        help="how far ahead a deadline can lie: (D + F)(1 + rho) of the site's profile",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="hubs are pods of this cluster, instead of processes of this machine",
    )
    arguments = parser.parse_args()
    wrong = unfit(arguments.runtime_dir, arguments.longest)
    if wrong:
        sys.stderr.write(f"error: {wrong}\n")
        return int(ExitCode.BAD_INPUT)
    held = lock(arguments.runtime_dir / "fencer.lock")
    if held is None:
        sys.stderr.write(f"error: another fencer guards {arguments.runtime_dir}\n")
        return int(ExitCode.REFUSED)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    try:
        stopper = stopper_of(arguments.site, arguments.state_dir, arguments.kubeconfig)
    except FederationError as error:
        sys.stderr.write(f"error: {error.message}\n{error.help}\n")
        return int(CATALOGUE[error.code].exit_code)
    guard = assemble(arguments.site, stopper, arguments.runtime_dir, arguments.longest)
    say("fencer.started", site=arguments.site, pid=os.getpid(), longest_s=arguments.longest)
    while not stopping:
        machine_time.pause(guard.tick() / SECOND_NS)
    say("fencer.stopped", site=arguments.site)
    os.close(held)
    return int(ExitCode.OK)


def stopper_of(site: str, state_dir: Path, kubeconfig: Path | None) -> Stopper[Any]:
    """Of the site's kind. What speaks to clusters is read only where there is one: it takes some MiB."""
    if kubeconfig is None:
        return LocalStopper(os.environ.get("HUBFED_DIR", str(state_dir)), site, state_dir)
    api = import_module("agents.drivers.kubernetes.blocking_api")
    kind = import_module("agents.drivers.stopper_kubernetes")
    found: Stopper[Any] = kind.KubernetesStopper(
        site, api.BlockingApi(api.Access.read(kubeconfig)), machine_time.boottime_ns
    )
    return found


def assemble(site: str, stopper: Stopper[Any], runtime_dir: Path, longest_s: float) -> Guard[Any]:
    """The fencer of a site of any kind."""
    boot_id = machine_time.boot_id()
    longest_ns = int(longest_s * SECOND_NS)
    files = RuntimeFiles(runtime_dir)
    least = newest_of(files.acknowledged(), boot_id)
    return Guard(
        fence=Fence(boot_id, longest_ns, machine_time.boottime_ns(), canary=canary_of(site), least=least),
        lease=files,
        stopper=stopper,
        now_ns=machine_time.boottime_ns,
        say=say,
        boot_id=boot_id,
        pid=os.getpid(),
    )


class RuntimeFiles:
    """The LeasePort on tmpfs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lease.json"
        self._ack = folder / "ack.json"
        self._fresh = folder / ".ack.json.new"
        self._seen: tuple[int, ...] | None = ()

    def changed(self) -> bool:
        return self._mark() != self._seen

    def read(self) -> bytes | None:
        self._seen = self._mark()
        if self._seen is None:
            return None
        _inode, _changed, size, mode = self._seen
        if not stat.S_ISREG(mode) or size > LARGEST:
            return b""  # something is there, and it is no lease file
        try:
            return self._file.read_bytes()
        except OSError:
            self._seen = ()
            return None

    def acknowledged(self) -> bytes | None:
        """What is there of a fencer before this one."""
        try:
            return self._ack.read_bytes()
        except OSError:
            return None

    def acknowledge(self, content: bytes) -> None:
        handle = os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.write(handle, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)
        self._fresh.replace(self._ack)

    def _mark(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._file)  # noqa: PTH116 - ten times a second
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def unfit(runtime_dir: Path, longest_s: float) -> str:
    """Why this cannot be guarded, or nothing."""
    if not longest_s > 0:
        return f"--longest {longest_s:g} is not a time"
    try:
        kind = file_system(runtime_dir)
    except OSError as error:
        return f"{runtime_dir}: {error.strerror}"
    if kind not in MEMORY_FILESYSTEMS:
        return f"{runtime_dir} is on {kind}, which survives a reboot: an old deadline would look days ahead"
    return ""


def lock(path: Path) -> int | None:
    """One fencer per directory; None if there is another."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def say(event: str, /, **fields: object) -> None:
    """A log line as the other daemons write it. A log that cannot be written stops nothing."""
    at = machine_time.wall().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = json.dumps({"event": event, "logger": "fencer", "level": "info", **fields, "at": at}, ensure_ascii=False)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    sys.exit(main())
