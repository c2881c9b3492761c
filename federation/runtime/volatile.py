"""Where the lease file lies: a directory on tmpfs, so that a reboot empties it (PROTOCOL.md section 4).

A file on a disk would survive a reboot, and its uptime-based deadline would then look days ahead: that is refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from federation.model.errors import Unavailable

PRIVATE = 0o700
MEMORY_FILESYSTEMS = {"tmpfs", "ramfs"}


def volatile_dir(
    state_dir: Path, *, bases: Iterable[Path] | None = None, mounts: Path = Path("/proc/self/mountinfo")
) -> Path:
    """The directory for this state directory, made with mode 0700; the same on every call within a boot."""
    name = hashlib.sha256(os.fsencode(state_dir.resolve())).hexdigest()[:16]
    refused = []
    for base in standard_bases() if bases is None else bases:
        reason = _prepare(base, mounts)
        if not reason:
            return _private(base / name)
        refused.append(f"{base} ({reason})")
    raise Unavailable(
        f"no directory in memory for the lease file: {', '.join(refused)}",
        help="Mount a tmpfs at /run, or set XDG_RUNTIME_DIR to a directory of yours on tmpfs.",
    )


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds `path`, e.g. `tmpfs`."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return "unknown"


def standard_bases(env: Mapping[str, str] = os.environ) -> Iterable[Path]:
    """Where to look, best first."""
    uid = os.getuid()
    if runtime := env.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "hubfed"
    if uid == 0:
        yield Path("/run/hubfed")
    yield Path(f"/dev/shm/hubfed-{uid}")  # noqa: S108 - made 0700 and checked to be ours


def _prepare(base: Path, mounts: Path) -> str:
    """Make `base` if its parent is in memory; returns why it cannot be used, or nothing."""
    try:
        kind = file_system(base.parent, mounts)
        if kind not in MEMORY_FILESYSTEMS:
            return f"on {kind}, which survives a reboot"
        _private(base)
    except OSError as error:
        return error.strerror or str(error)
    except Unavailable as error:
        return error.message
    return ""


def _private(path: Path) -> Path:
    path.mkdir(mode=PRIVATE, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Unavailable(f"{path} belongs to somebody else")
    if stat.S_IMODE(found.st_mode) != PRIVATE:
        path.chmod(PRIVATE)
    return path
