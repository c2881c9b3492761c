"""The two files through which agent and fencer speak: in one directory, on tmpfs. Standard library alone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 8 << 20  # a lease file is some hundred bytes per hub


class RuntimeFiles:
    """The LeasePort on tmpfs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lease.json"
        self._ack = folder / "ack.json"
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

    def write(self, content: bytes) -> None:
        """Replace the lease file: on a node, where no agent does."""
        replace(self._file, content)

    def acknowledged(self) -> bytes | None:
        """What is there of a fencer before this one."""
        try:
            return self._ack.read_bytes()
        except OSError:
            return None

    def acknowledge(self, content: bytes) -> None:
        replace(self._ack, content)

    def _mark(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._file)  # noqa: PTH116 - ten times a second
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def replace(path: Path, content: bytes, *, durable: bool = False) -> None:
    """The whole file, or OSError and it stays as it was."""
    fresh = path.with_name(f".{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(handle, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
    fresh.replace(path)
