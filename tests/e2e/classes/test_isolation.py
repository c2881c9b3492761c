"""As root: every student has a system uid of their own, and reaches neither another's home nor what the site keeps."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.runtime.volatile import standard_bases
from tests.support.federation import Federation
from tests.support.living_folder import everything_in

pytestmark = [pytest.mark.timeout(180), pytest.mark.needs_root]
USERS = ("s01", "s02")
FIRST_UID = 200_000  # below are the machine's own accounts
# reads paths from standard input, prints those that it may open, list, make a file in, or move something in
TRY = """
import os, sys
for path in sys.stdin.read().split('\\0'):
    listed = os.path.isdir(path) and os.access(path, os.R_OK)
    try:
        listed = listed or not os.path.isdir(path) and bool(open(path, 'rb'))
    except OSError:
        pass
    if listed or os.access(path, os.W_OK):
        print(path)
"""


@dataclass(frozen=True)
class Apart:
    """A class in which two students work, each with a file and a running server."""

    here: Federation
    word: str
    uid: str
    homes: Path

    async def types(self, user: str, *lines: str) -> list[str]:
        """What each line prints in a terminal of the student's JupyterLab."""
        async with self.here.student("apart", user) as one:
            assert await one.sign_in(self.word) == 200
            await one.start_server()
            await one.save("private.txt", f"of {user}")
            async with one.terminal() as shell:
                return [await shell.run(line) for line in lines]

    def uids(self) -> dict[str, set[int]]:
        """The system uids of each student's processes."""
        found: dict[str, set[int]] = {user: set() for user in USERS}
        for pid in self.here.pids("server", hub=self.uid):
            folder = Path(f"/proc/{pid}")
            user = re.search(rb"HUBFED_USER=(\w+)", (folder / "environ").read_bytes())
            assert user is not None
            found[user[1].decode()] |= {int(n) for n in _field(folder / "status", "Uid")}
        return found


@pytest.fixture(scope="module")
def apart(federation_here: Federation) -> Iterator[Apart]:
    here = federation_here
    with here.placed("apart") as word:
        made = Apart(here, word, here.hub("apart")["metadata"]["uid"], here.homes("apart"))
        for user in USERS:
            asyncio.run(made.types(user))
        yield made


def test_local_sites_say_that_their_students_are_isolated(here: Federation) -> None:
    sites = json.loads(here.fedctl("sites", "-o", "json").out)["items"]
    assert {site["metadata"]["name"] for site in sites} == {"iu", "tacc"}
    for site in sites:
        said = next(c for c in site["status"]["conditions"] if c["type"] == "Isolated")
        assert (said["status"], said["reason"]) == ("True", "OneUidPerStudent"), said["message"]


def test_each_student_works_under_a_uid_that_nobody_else_has(here: Federation, apart: Apart) -> None:
    uids = apart.uids()
    assert all(len(uids[user]) == 1 and min(uids[user]) >= FIRST_UID for user in USERS), uids
    assert uids["s01"].isdisjoint(uids["s02"])
    for user in USERS:
        (said,) = asyncio.run(apart.types(user, "id -u"))
        assert str(*uids[user]) in said
        home = (apart.homes / user).stat()
        assert ({home.st_uid}, home.st_mode & 0o777) == (uids[user], 0o700)
    groups = [_field(Path(f"/proc/{pid}/status"), "Groups") for pid in here.pids("server", hub=apart.uid)]
    assert not any("0" in found for found in groups), "nor do they keep a group of the agent's"


def test_from_a_terminal_a_student_reaches_nobody_elses_home(here: Federation, apart: Apart) -> None:
    other = apart.homes / "s02"
    (victim,) = (p for p in here.pids("server", hub=apart.uid) if b"HUBFED_USER=s02" in _environ(p))
    denied = (
        f"cat {other}/private.txt",
        f"ls {other}",
        f"touch {other}/planted.txt",
        f"mv {other} {other}-moved",
        f"ls {apart.homes}",
        f"cat /proc/{victim}/environ",
    )
    own, kill, *said = asyncio.run(apart.types("s01", "cat ~/private.txt", f"kill -9 {victim}", *denied))
    assert "of s01" in own, "the terminal does show what may be read"
    assert "not permitted" in kill
    for line, answer in zip(denied, said, strict=True):
        assert "Permission denied" in answer or "cannot move" in answer, f"{line}: {answer}"
    assert sorted(p.name for p in other.iterdir() if not p.name.startswith(".")) == ["private.txt"]


def test_under_a_students_uid_nothing_of_the_federation_can_be_read_or_changed(here: Federation, apart: Apart) -> None:
    everything = {path for top in (here.dir, *_leases()) for path in everything_in(top)}
    own = apart.homes / "s01"
    names = {path.name for path in everything}
    for kept in (
        "journal.json",
        "student-uids.json",
        "hub.json",
        "hub.sqlite",
        "lease.json",
        "admin.key",
        "names.json",
    ):
        assert kept in names, f"{kept} is among what is tried"
    (uid,) = apart.uids()["s01"]
    reached = set(_reached(uid, everything))
    assert own / "private.txt" in reached, "the attempt does find what may be read"
    assert sorted(p for p in reached if p != own and own not in p.parents) == []


def _reached(uid: int, paths: Iterable[Path]) -> list[Path]:
    done = subprocess.run(
        [sys.executable, "-c", TRY], input="\0".join(map(str, paths)), capture_output=True, text=True, check=True,
        user=uid, group=uid, extra_groups=[], cwd="/",
    )  # fmt: skip
    return [Path(line) for line in done.stdout.splitlines()]


def _leases() -> list[Path]:
    return [base for base in standard_bases() if base.is_dir()]


def _field(status: Path, name: str) -> list[str]:
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{name}:"))
    return line.split()[1:]


def _environ(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()
