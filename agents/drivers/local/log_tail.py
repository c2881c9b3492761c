"""The end of a log file, and what follows."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from federation.runtime.clock import Clock

BLOCK = 64 * 1024
MOST_BYTES = 1 << 20
LOOK_S = 0.25


def last_lines(path: Path, count: int) -> bytes:
    """The last `count` lines, at most 1 MiB of them; nothing if there is no file. Reads only as much as it needs."""
    if count <= 0 or not path.exists():
        return b""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        least = max(0, position - MOST_BYTES)
        text = b""
        while position > least and text.count(b"\n") <= count:
            step = min(BLOCK, position - least)
            position = file.seek(position - step)
            text = file.read(step) + text
    return b"".join(text.splitlines(keepends=True)[-count:])


async def follow(path: Path, tail: int, clock: Clock) -> AsyncIterator[bytes]:
    """The last lines, then whatever is appended, until the caller stops; a file that is replaced is read anew."""
    position = _size(path)
    if first := last_lines(path, tail):
        yield first
    while True:
        await clock.sleep(LOOK_S)
        size = _size(path)
        if size < position:
            position = 0
        if size > position:
            with path.open("rb") as file:
                file.seek(position)
                chunk = file.read(BLOCK)
            position += len(chunk)
            yield chunk


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
