"""What goes into a copy: the tree of homes, with a consistent copy of the hub's database in it, and what restic says.

The database is never copied as a live file: SQLite's online backup makes a file in the tree, which students cannot list
and not read, and that file goes along.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

STAGED = ".hubfed-hub.sqlite"
BLOCK = 512
MOST_UNREAD = 200
BUSY_S = 10.0
HOME_LINE = re.compile(r'"action":"(\w+)","item":"/([^/"]+)/"')


@dataclass(slots=True)
class Sizes:
    """A tree, counted. `on_disk` is less than `bytes` where files have holes."""

    homes: dict[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    on_disk: int = 0


def measure(tree: Path) -> Sizes:
    """Count it; what vanishes meanwhile does not count."""
    sizes = Sizes()
    for entry in _entries(tree):
        if not entry.is_dir(follow_symlinks=False):
            _count(entry, sizes)
        elif not entry.name.startswith("."):
            before = sizes.bytes
            _walk(entry.path, sizes)
            sizes.homes[entry.name] = sizes.bytes - before
    return sizes


def _walk(top: str, sizes: Sizes) -> None:
    folders = [top]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                _count(entry, sizes)


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _count(entry: os.DirEntry[str], sizes: Sizes) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return
    sizes.files += 1
    if stat.S_ISREG(found.st_mode):
        sizes.bytes += found.st_size
        sizes.on_disk += found.st_blocks * BLOCK


def stage_database(live: Path, tree: Path) -> bool:
    """A consistent copy of the live database into the tree; False if there is none, and then none is in the tree.
    sqlite3.Error or OSError leave the copy of last time. Opened for writing: what a hub that was killed had begun to
    write is rolled back first, as its next start would."""
    staged, fresh = tree / STAGED, tree / f"{STAGED}.new"
    if not live.is_file():
        staged.unlink(missing_ok=True)
        return False
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{live.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_S)) as source,
            closing(sqlite3.connect(fresh)) as target,
        ):
            source.backup(target)
            answer = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise sqlite3.DatabaseError(f"the copy is not whole: {answer}")
        fresh.replace(staged)
    finally:
        fresh.unlink(missing_ok=True)
    return True


@dataclass(slots=True)
class BackupReport:
    """What `restic backup --json --verbose=2` said."""

    snapshot: str = ""
    files: int = 0
    bytes_added: int = 0
    changed: dict[str, bool] = field(default_factory=dict)  # home -> whether anything in it is new
    unread: tuple[str, ...] = ()


def read_report(lines: Iterable[str], tree: Path) -> BackupReport:
    """A line per file is written; only those of homes, errors and the summary are looked at."""
    report, unread = BackupReport(), dict[str, None]()
    for line in lines:
        if (home := HOME_LINE.search(line)) is not None:
            report.changed[home[2]] = home[1] != "unchanged"
        elif '"message_type":"error"' in line or '"message_type":"summary"' in line:
            _take(json.loads(line), report, unread, tree)
    more = len(unread) - MOST_UNREAD
    named = tuple(unread)[:MOST_UNREAD]
    report.unread = (*named, f"and {more} more") if more > 0 else named
    return report


def _take(said: dict[str, object], report: BackupReport, unread: dict[str, None], tree: Path) -> None:
    if said["message_type"] == "summary":
        report.snapshot = str(said["snapshot_id"])
        report.files = int(str(said["total_files_processed"]))
        report.bytes_added = int(str(said["data_added"]))
    else:
        unread[str(said.get("item", "?")).removeprefix(f"{tree}/")] = None
