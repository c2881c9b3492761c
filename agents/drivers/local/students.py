"""Students as the machine sees them: a system uid of their own, a private home."""

from __future__ import annotations

import json
import os
from pathlib import Path

from federation.core.home_names import slug
from federation.model.errors import DriverError, Unavailable
from federation.model.scalars import TESTER
from federation.runtime.disk import LocalDisk, locked

MOST_UIDS = 100_000
TESTER_HOME = ".tester-"


def uid_of(file: Path, hub: str, user: str, first: int) -> int:
    """The student's uid, drawn once per (hub, user) and never given to another; several hubs share the file."""
    with locked(file.with_suffix(".lock")):
        disk = LocalDisk()
        try:
            known: dict[str, int] = json.loads(disk.read(file) or b"{}")
        except ValueError as error:
            raise DriverError(f"{file} cannot be understood; students' uids would be mixed up", delay_s=None) from error
        name = f"{hub}/{user}"
        if name not in known:
            uid = max(known.values(), default=first - 1) + 1
            if uid >= first + MOST_UIDS:
                raise DriverError(f"no uid is left for {user} of {hub}: all of {file} are given", delay_s=None)
            known[name] = uid
            disk.replace(file, json.dumps(known, indent=1).encode())
        return known[name]


def tester_home(homes_dir: Path, hub: str) -> Path:
    """Where test servers of the hub live: beside the trees, so that no copy has it."""
    return homes_dir / f"{TESTER_HOME}{hub}"


def make_home(homes: Path, user: str, uid: int | None) -> Path:
    """The student's home, 0700 and theirs. The tree itself must be there: it is made by the homes driver."""
    home = tester_home(homes.parent, homes.name) if user == TESTER else homes / slug(user)
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        if home.is_symlink():
            raise Unavailable(f"{home} is a symbolic link; a home never is")
        home.chmod(0o700)
        if uid is not None and home.stat().st_uid != uid:
            give(home, uid)
    except OSError as error:
        raise Unavailable(f"cannot make the home {home}: {error.strerror}") from error
    return home


def give(home: Path, uid: int, gid: int | None = None) -> None:
    """Everything in it to `uid`: a home that came from another site has that site's numbers. `gid`: default the same."""
    group = uid if gid is None else gid
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            os.chown(Path(folder, name), uid, group, follow_symlinks=False)
    os.chown(home, uid, group)
