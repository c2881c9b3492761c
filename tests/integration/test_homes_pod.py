"""What runs in the pods of a site with a cluster, on folders that stand for its mounts, against what a local site does
with the same store: one is the other's standby."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.base import CopyRef, Placed, UnsentHome
from agents.drivers.kubernetes.homes_order import Call, CopyText, HomesAnswer, HomesOrder, OwnerText
from agents.drivers.kubernetes.homes_put import STAGE
from agents.drivers.kubernetes.homes_work import HomesWork
from agents.drivers.local.copies_in_store import CopiesInStore
from agents.drivers.local.copy_repository import ensure_repository
from agents.drivers.local.unsent_work import set_out
from federation.model.errors import Code
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.once import once
from federation.runtime.processes import SystemProcesses
from federation.runtime.restic_program import find_restic
from tests.support.copies_bench import HUB, SECRET, Files, LocalCopiesBench, directory_bench
from tests.support.local_site import E1, E2

ROOT = Path(__file__).resolve().parents[2]
WORK = {"ada/a.ipynb": b"ada's", "bob/b.ipynb": b"bob's", "bob/data/big": b"x" * 70_000}
FOLDER = "recovered-iu-2026-09-01T140503Z"
STUDENT, HUBS = OwnerText(uid=1000, gid=100), OwnerText(uid=1000, gid=1000)


@dataclass
class Pods:
    """Pods of the site tacc, one after the other; iu is a local site."""

    bench: LocalCopiesBench
    count: int = 0
    root: Path = field(init=False)

    def order(self, call: Call, *homes: str, **more: Any) -> HomesOrder:
        """For the next pod, in which these homes are mounted."""
        self.count += 1
        self.root = self.bench.root / f"pod-{self.count}"
        order = HomesOrder.model_validate(
            {
                "call": call,
                "site": "tacc",
                "hub": HUB,
                "epoch": E2,
                "password": SECRET,
                "limit_s": 60.0,
                "store": str(self.bench.data),
                "homes_owner": STUDENT,
                "database_owner": HUBS,
                "homes": {home: home for home in homes},
                **more,
            }
        )
        for folder in (*(order.tree(self.root) / home for home in homes), order.hub_dir(self.root)):
            folder.mkdir(parents=True)
        return order

    def write(self, order: HomesOrder, files: Files) -> None:
        for name, content in files.items():
            path = order.tree(self.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def read(self, order: HomesOrder) -> Files:
        tree = order.tree(self.root)
        files = (path for home in order.homes for path in (tree / home).rglob("*") if path.is_file())
        return {str(path.relative_to(tree)): path.read_bytes() for path in files}

    async def run(self, order: HomesOrder) -> HomesAnswer:
        return await HomesWork(order, self.bench.processes, SystemClock(), self.root).answer()

    async def saved(self, order: HomesOrder) -> CopyRef:
        answer = await self.run(order)
        assert answer.saved is not None, answer
        return CopyRef("tacc", HUB, answer.saved.snapshot)

    async def repository(self) -> None:
        """Made by the agent, before its first pod."""
        settings = self.bench.settings["tacc"]
        find = once(lambda: find_restic(self.bench.processes, settings.copies_dir / "log"))
        runs = CopiesInStore(settings, SystemProcesses(SystemClock()), SystemClock(), find).runs()
        await ensure_repository(runs, LocalDisk(), runs.own(HUB), SECRET, math.inf)


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    async with directory_bench() as bench:
        made = Pods(bench)
        await made.repository()
        yield made


async def copy_of_iu(pods: Pods, files: Files = WORK) -> CopyRef:
    """Of a local site."""
    await pods.bench.drivers("iu").homes.ensure(HUB, E1)
    pods.bench.write("iu", files)
    return CopyRef("iu", HUB, (await pods.bench.copies("iu").save(HUB, E1, SECRET, run="r")).snapshot)


def database(path: Path, *users: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("CREATE TABLE users (name TEXT)")
        opened.executemany("INSERT INTO users VALUES (?)", [(user,) for user in users])


def users_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as opened:
        return [name for (name,) in opened.execute("SELECT name FROM users")]


async def test_what_a_local_site_saved_is_restored_in_a_pod_with_the_hubs_database(pods: Pods) -> None:
    database(pods.bench.settings["iu"].hub_dir(HUB) / "hub.sqlite", "ada", "bob")
    copy = await copy_of_iu(pods)
    order = pods.order(Call.RESTORE, "ada", "bob", source=CopyText.of(copy))
    live = order.hub_dir(pods.root) / "jupyterhub.sqlite"
    database(live, "nobody")
    assert await pods.run(order) == HomesAnswer()
    assert pods.read(order) == WORK
    assert users_in(live) == ["ada", "bob"]
    assert users_in(live.with_name(f"jupyterhub.sqlite.kept-{E2}")) == ["nobody"], "an older one is kept"
    if os.getuid() == 0:
        home = order.tree(pods.root) / "ada"
        owned = [path.stat() for path in (home, home / "a.ipynb", live)]
        assert [(found.st_uid, found.st_gid) for found in owned] == [(1000, 100), (1000, 100), (1000, 1000)]


async def test_a_restore_that_was_killed_begins_again_and_leaves_nothing_of_before(pods: Pods) -> None:
    order = pods.order(Call.RESTORE, "ada", "bob", source=CopyText.of(await copy_of_iu(pods)))
    pods.write(order, {"ada/half": b"1", "bob/deep/half": b"2", "bob/lost+found/of the disk": b"3"})
    assert await pods.run(order) == HomesAnswer()
    assert pods.read(order) == {**WORK, "bob/lost+found/of the disk": b"3"}


async def test_what_a_pod_saved_is_restored_at_a_local_site(pods: Pods) -> None:
    order = pods.order(Call.SAVE, "ada", "bob", run="r-1")
    pods.write(order, WORK)
    database(order.hub_dir(pods.root) / "jupyterhub.sqlite", "ada", "bob")
    copy = await pods.saved(order)
    near = pods.bench.drivers("iu")
    (listed,) = await near.copies.list("tacc", HUB, SECRET)
    assert (listed.snapshot, listed.epoch, listed.run) == (copy.snapshot, E2, "r-1")
    assert (await near.copies.restore(copy, E2, SECRET)).done
    assert pods.bench.read("iu") == WORK
    assert users_in(pods.bench.settings["iu"].hub_dir(HUB) / "hub.sqlite") == ["ada", "bob"]


async def test_another_pod_knows_what_has_changed_since_the_last_ones_copy(pods: Pods) -> None:
    first = pods.order(Call.SAVE, "ada", "bob", run="r-1")
    pods.write(first, WORK)
    await pods.saved(first)
    tree = first.tree(pods.root)
    (tree / "bob/new").write_bytes(b"new")
    shutil.rmtree(pods.root / "work/state")  # only the claims last
    for left in tree.glob(".hubfed-*"):
        left.unlink()
    answer = await pods.run(first.revise(run="r-2"))
    assert answer.saved is not None
    assert {home: found.changed for home, found in answer.saved.homes.items()} == {"ada": False, "bob": True}


async def test_homes_come_beside_what_students_have_and_never_over_it(pods: Pods) -> None:
    copy = await copy_of_iu(pods)
    order = pods.order(Call.PUT, "ada", "bob", source=CopyText.of(copy), folder=FOLDER)
    here = {"ada/a.ipynb": b"newer", f"bob/{FOLDER}/b.ipynb": b"worked on"}
    pods.write(order, here)
    assert (await pods.run(order)).placed == Placed(done=("ada",), there=("bob",))
    assert pods.read(order) == {**here, f"ada/{FOLDER}/a.ipynb": b"ada's"}
    assert not (order.tree(pods.root) / "ada" / STAGE).exists()


async def test_a_student_who_puts_a_link_where_work_is_recovered_gains_nothing(pods: Pods) -> None:
    copy = await copy_of_iu(pods)
    order = pods.order(Call.PUT, "ada", "bob", source=CopyText.of(copy), folder=FOLDER)
    tree = order.tree(pods.root)
    (tree / "ada" / STAGE).symlink_to(tree / "bob")
    (tree / "bob" / STAGE / "left by a pod that was killed").mkdir(parents=True)
    assert (await pods.run(order)).placed == Placed(done=("ada", "bob"))
    assert pods.read(order) == {
        f"ada/{FOLDER}/a.ipynb": b"ada's",
        f"bob/{FOLDER}/b.ipynb": b"bob's",
        f"bob/{FOLDER}/data/big": WORK["bob/data/big"],
    }


async def test_work_that_was_never_sent_is_saved_in_a_pod_as_at_a_local_site(pods: Pods) -> None:
    base = await copy_of_iu(pods)
    restoring = pods.order(Call.RESTORE, "ada", "bob", source=CopyText.of(base))
    assert await pods.run(restoring) == HomesAnswer()
    filled = restoring.tree(pods.root)
    order = pods.order(Call.SAVE_UNSENT, source=CopyText.of(base), run="late", homes={"ada": "", "bob": ""})
    order.tree(pods.root).parent.mkdir(parents=True)
    filled.rename(order.tree(pods.root))
    pods.write(order, {"ada/a.ipynb": b"at tacc", "bob/.cache/x": b"no work"})
    answer = await pods.run(order)
    assert answer.unsent is not None, answer
    assert answer.unsent.homes == {"ada": UnsentHome(1, 7)}


def test_homes_that_are_volumes_of_their_own_are_set_out_as_copies(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there are no two file systems here")
    tree, folder = tmp_path / "tree", memory / f"hubfed-test-{os.getpid()}"
    (tree / "ada").mkdir(parents=True)
    (tree / "ada/a").write_bytes(b"1")
    (tree / "ada/link").symlink_to("nowhere")
    folder.mkdir()
    try:
        set_out(tree, folder, ["ada/a", "ada/link"])
        assert (folder / "ada/a").read_bytes() == b"1"
        assert (folder / "ada/a").stat().st_mtime_ns == (tree / "ada/a").stat().st_mtime_ns
        assert (folder / "ada/link").readlink() == Path("nowhere")
    finally:
        shutil.rmtree(folder)


async def test_what_goes_wrong_is_an_answer_with_its_reason(pods: Pods) -> None:
    copy = await copy_of_iu(pods)
    order = pods.order(Call.RESTORE, "ada", "bob", source=CopyText.of(copy), password="another")
    wrong = (await pods.run(order)).wrong
    assert wrong is not None
    assert (wrong.code, wrong.delay_s) == (Code.DRIVER, 30.0)
    assert "password does not open the repository of atm101-abc123 by iu" in wrong.message


async def test_a_repository_that_was_made_and_is_gone_is_not_made_anew(pods: Pods) -> None:
    pods.bench.repository("tacc").rename(pods.bench.root / "moved")
    order = pods.order(Call.SAVE, "ada", run="r")
    wrong = (await pods.run(order)).wrong
    assert wrong is not None
    assert "although this site made it" in wrong.message
    assert str(order.settings(pods.root).copies_dir) in wrong.help
    assert not pods.bench.repository("tacc").exists()


async def test_the_program_reads_its_order_and_answers_in_its_last_line(pods: Pods) -> None:
    order = pods.order(Call.SAVE, "ada", run="r")
    pods.write(order, {"ada/a.ipynb": b"ada's"})
    file = pods.root / "order/order.json"
    file.parent.mkdir()
    file.write_text(order.model_dump_json())
    words = [sys.executable, "-m", "agents.homes_pod", "--order", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer = HomesAnswer.read(done.stdout)
    assert answer is not None
    assert answer.saved is not None, answer
    assert set(answer.saved.homes) == {"ada"}
    assert SECRET not in done.stdout + done.stderr


def test_an_order_of_another_version_is_refused_and_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "order/order.json"
    file.parent.mkdir()
    file.write_text(f'{{"password": "{SECRET}", "call": "save", "newer": "{SECRET}"}}')
    words = [sys.executable, "-m", "agents.homes_pod", "--order", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    answer = HomesAnswer.read(done.stdout)
    assert answer is not None
    assert answer.wrong is not None
    assert "newer: " in answer.wrong.message
    assert SECRET not in done.stdout + done.stderr


def test_the_program_needs_few_libraries_so_that_its_pod_starts_fast_from_a_small_image() -> None:
    script = "import sys, agents.homes_pod; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"pydantic", "structlog"} <= set(done.stdout.split())
    assert {"aiohttp", "grpc", "kubernetes", "jupyterhub", "pyhelm3", "yaml"}.isdisjoint(done.stdout.split())
