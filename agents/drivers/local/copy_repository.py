"""A site's own repository of a hub is made once, whole; one that was made and is gone is an error, not made anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from agents.drivers.local.blocking import blocking
from agents.drivers.local.copy_store import Repository
from agents.drivers.local.restic_runs import CopyFailed, ResticRuns
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError
from federation.runtime.disk import Disk
from federation.runtime.restic_program import Trouble

PRIVATE = 0o700


async def ensure_repository(runs: ResticRuns, disk: Disk, own: Repository, password: str, until_mono: float) -> None:
    """Make it if it is new. What was made is remembered, for an unmounted store looks like one without repositories."""
    if disk.read(note_of(runs.settings, own)) == _content(own):
        return
    try:
        await runs.read(own, ("cat", "config"), password, until_mono)
    except CopyFailed as error:
        if error.trouble is not Trouble.NO_REPOSITORY:
            raise
        await _make(runs, own, password, until_mono)
    remember(runs.settings, disk, own)


def remember(settings: LocalSettings, disk: Disk, own: Repository) -> None:
    """It was made: from now on one that is not there is an error."""
    disk.replace(note_of(settings, own), _content(own))


def note_of(settings: LocalSettings, own: Repository) -> Path:
    """Where that is remembered."""
    return settings.copies_dir / "made" / f"{own.hub}.json"


def gone(runs: ResticRuns, own: Repository) -> DriverError:
    """What to say when the repository is not found although it was made."""
    note = note_of(runs.settings, own)
    return DriverError(
        f"the repository of {own.hub} is not at {own.url} although this site made it: is the store mounted?",
        delay_s=60.0,
        help=f"If it was deleted on purpose, delete {note}: then it is made anew.",
    )


def _content(own: Repository) -> bytes:
    return json.dumps({"repository": own.url}).encode()


async def _make(runs: ResticRuns, own: Repository, password: str, until_mono: float) -> None:
    """restic writes the key first and the config last. Killed between, it would leave a repository that never opens: so
    it is made beside and renamed. S3 has no rename; there the sentence of such a repository says what to delete."""
    if own.folder is None:
        await runs.make(own, own.url, password, until_mono)
        return
    beside = own.folder.with_name(f".new-{own.folder.name}")
    await blocking(_prepare, own.folder, beside)
    await runs.make(own, str(beside), password, until_mono)
    await blocking(beside.rename, own.folder)


def _prepare(folder: Path, beside: Path) -> None:
    if not folder.parent.parent.is_dir():
        raise DriverError(f"the store of copies {folder.parent.parent} is not there: is it mounted?", delay_s=30.0)
    folder.parent.mkdir(mode=PRIVATE, exist_ok=True)
    if beside.exists():
        shutil.rmtree(beside)
