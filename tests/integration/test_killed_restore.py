"""A restore that is killed at any step and ordered again ends as if nothing had happened, and never shows half a tree."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.drivers.base import CopyRef
from federation.model.errors import DriverError
from tests.support.copies_bench import HUB, SECRET, Files, LocalCopiesBench, directory_bench
from tests.support.local_site import E1, E2

WORK: Files = {"ada/a.ipynb": b"ada's", "bob/b.ipynb": b"bob's"}
OLD: Files = {"ada/unsent": b"only at tacc"}
CHANGES = {
    "os.rename",
    "os.mkdir",
    "os.chmod",
    "os.chown",
    "os.remove",
    "os.rmdir",
    "shutil.copyfile",
    "subprocess.Popen",
}


@dataclass
class Scene:
    """iu's copy is in the store; tacc has an older tree and an older database."""

    bench: LocalCopiesBench
    copy: CopyRef

    def reset(self) -> None:
        asyncio.run(self._reset())

    async def _reset(self) -> None:
        tacc = self.bench.settings["tacc"]
        for folder in (tacc.homes_dir, tacc.hub_dir(HUB)):
            shutil.rmtree(folder, ignore_errors=True)
        for path in tacc.state_dir.glob(".hubfed-homes-id"):
            path.unlink()
        await self.bench.anew("tacc").homes.ensure(HUB, E1)
        self.bench.write("tacc", OLD)
        database(self.bench, "tacc", "old")

    def restore(self) -> None:
        asyncio.run(self.bench.anew("tacc").copies.restore(self.copy, E2, SECRET))

    def killed(self, at: int) -> list[str]:
        """In a child: die by SIGKILL just before the change number `at`. Returns the changes up to there, by name."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with suppress(BaseException):
                sys.addaudithook(Killer(at, writer))
                self.restore()
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            changes = said.read().decode().split()
        os.waitpid(child, 0)
        return changes


@dataclass
class Killer:
    at: int
    out: int
    seen: int = 0
    only: str = ""  # counts changes of this kind alone

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in CHANGES and self.only in ("", event):
            os.write(self.out, f"{event}\n".encode())
            self.seen += 1
            if self.seen == self.at:
                os.kill(os.getpid(), signal.SIGKILL)


def database(bench: LocalCopiesBench, site: str, user: str) -> None:
    path = bench.settings[site].hub_dir(HUB) / "hub.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("CREATE TABLE users (name TEXT)")
        opened.execute("INSERT INTO users VALUES (?)", (user,))


def user_in(path: Path) -> str:
    with closing(sqlite3.connect(path)) as opened:
        return str(opened.execute("SELECT name FROM users").fetchone()[0])


@pytest.fixture
def scene() -> Iterator[Scene]:
    with asyncio.Runner() as runner, ExitStack() as stack:
        manager = directory_bench()
        bench = runner.run(manager.__aenter__())
        stack.callback(lambda: runner.run(manager.__aexit__(None, None, None)))
        runner.run(bench.drivers("iu").homes.ensure(HUB, E1))
        bench.write("iu", WORK)
        database(bench, "iu", "new")
        saved = runner.run(bench.copies("iu").save(HUB, E1, SECRET, run="run"))
        yield Scene(bench, CopyRef("iu", HUB, saved.snapshot))


def turns(changes: list[str]) -> list[int]:
    """Where to kill: before each rename, and before the first of each row of other changes."""
    return [n + 1 for n, change in enumerate(changes) if change == "os.rename" or n == 0 or changes[n - 1] != change]


@pytest.mark.timeout(400)
def test_a_restore_killed_before_each_kind_of_change_and_repeated_ends_the_same(scene: Scene) -> None:
    scene.reset()
    changes = scene.killed(at=0)
    points = turns(changes)
    assert "os.rename" in changes
    for at in points:
        scene.reset()
        scene.killed(at)
        where = f"killed before change {at} of {len(changes)}, {changes[at - 1]}"
        seen = scene.bench.read("tacc")
        assert seen in (OLD, WORK, {}), where
        if seen != WORK:
            with suppress(DriverError):
                asyncio.run(scene.bench.anew("tacc").homes.ensure(HUB, E2))
                assert not scene.bench.settings["tacc"].homes_dir.joinpath(f".restoring-{HUB}").exists(), where
                continue  # the order was not known here yet
        scene.restore()
        assert scene.bench.read("tacc") == WORK, where
        kept = scene.bench.drivers("tacc").homes.kept(HUB)  # type: ignore[attr-defined]
        assert [(path / "ada/unsent").read_bytes() for path in kept] == [b"only at tacc"], where
        hub_dir = scene.bench.settings["tacc"].hub_dir(HUB)
        assert user_in(hub_dir / "hub.sqlite") == "new", where
        assert user_in(hub_dir / f"hub.sqlite.kept-{E2}") == "old", where
        copying = {"HUBFED_ROLE": "copy", "HUBFED_COPY": HUB}
        until = time.monotonic() + 5.0  # what was killed together with its parent may take a moment to be gone
        while scene.bench.processes.find(copying):
            assert time.monotonic() < until, where
            time.sleep(0.05)
