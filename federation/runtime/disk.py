"""The disk as a port: whole files replaced atomically and made durable, so that kill -9 and a full disk lose nothing.

A replacement is visible either whole or not at all: temporary file in the same directory, fsync of the file, rename,
fsync of the directory.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from federation.model.errors import Unavailable


class Disk(Protocol):
    """Given at the composition root; in memory in simulations."""

    def read(self, path: Path) -> bytes | None:
        """The whole file, or None if there is none."""
        ...

    def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        """Replace the whole file or leave it as it was and raise Unavailable (e.g. the disk is full)."""
        ...

    def remove(self, path: Path) -> None:
        """Delete; an absent file is fine."""
        ...


class LocalDisk:
    """The machine's file system; files are made with mode 0600."""

    def read(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(handle, view) :]
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
            fresh.replace(path)
            if durable:
                _sync_directory(path.parent)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise Unavailable(f"cannot write {path}: {error.strerror}; the old content is whole") from error

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait for the lock of `file` and hold it. 0600: whoever may open a file may lock it, and keep others waiting."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
