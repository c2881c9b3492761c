"""What is in a folder in which others are at work: files and folders may vanish at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def everything_in(top: Path) -> Iterator[Path]:
    """The folder and all that is below it."""
    yield top
    for folder, folders, files in os.walk(top):  # which passes over what is gone
        yield from (Path(folder, name) for name in (*folders, *files))


def holds(path: Path, content: bytes) -> bool:
    """Whether it is a file with this in it."""
    try:
        return path.is_file() and content in path.read_bytes()
    except FileNotFoundError:
        return False
