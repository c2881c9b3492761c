"""One start or stop of a federation's directory at a time: two that overlap would draw two sets of ports and
certificates, and each would take the other's processes for what is left of an earlier start.

The lock goes with the process that holds it, however that ends; what it starts does not inherit it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.cli import output
from federation.cli.local.layout import Layout


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Hold the directory, which is made if there is none. Whoever has to wait says so."""
    handle = _locked(layout)
    try:
        yield
    finally:
        os.close(handle)


def _locked(layout: Layout) -> int:
    file, told = layout.start_lock, False
    while True:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    output.say(f"another fedctl starts or stops the federation in {layout.root}: waiting for it")
                told = True
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(file, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # whom we waited for has deleted the directory


def _is_still(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
