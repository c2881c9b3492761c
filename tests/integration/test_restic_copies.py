"""Copies with a real restic, what the in-memory twin cannot show: odd files, the hub's database, uids, locks, deadlines."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.drivers.base import CopyRef, Saved
from agents.drivers.local.settings import CopyStore
from agents.drivers.local.students import uid_of
from federation.model.errors import DeadlineExceeded, DriverError
from federation.model.identity import Epoch
from tests.support.copies_bench import HUB, SECRET, LocalCopiesBench, directory_bench, restic_or_skip
from tests.support.freezing import freeze
from tests.support.local_site import E1, E2, until

MANY = 1500


@pytest.fixture
async def bench() -> AsyncIterator[LocalCopiesBench]:
    async with directory_bench() as made:
        await made.drivers("iu").homes.ensure(HUB, E1)
        yield made


async def save(bench: LocalCopiesBench, epoch: Epoch = E1) -> tuple[CopyRef, Saved]:
    saved = await bench.copies("iu").save(HUB, epoch, SECRET, run="run")
    return CopyRef("iu", HUB, saved.snapshot), saved


async def carried_over(bench: LocalCopiesBench) -> Path:
    """Saved at iu, restored at tacc; returns the new tree."""
    copy, _ = await save(bench)
    return Path((await bench.copies("tacc").restore(copy, E2, SECRET)).tree)


def hub_database(bench: LocalCopiesBench, site: str, *users: str) -> Path:
    """A database as JupyterHub's, with these users."""
    path = bench.settings[site].hub_dir(HUB) / "hub.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS users (name TEXT)")
        database.executemany("INSERT INTO users VALUES (?)", [(user,) for user in users])
    return path


def users_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [name for (name,) in database.execute("SELECT name FROM users")]


@contextmanager
def other_restic(monkeypatch: pytest.MonkeyPatch, bench: LocalCopiesBench, script: str) -> Iterator[Path]:
    """Put a script before restic on PATH: `$RESTIC` in it is the real one. Yields a folder for what it writes."""
    folder = bench.root / "bin"
    folder.mkdir()
    found = subprocess.run(
        [Path(__file__).parents[2] / "scripts/get-restic"], capture_output=True, text=True, check=True
    ).stdout.strip()
    program = folder / "restic"
    program.write_text(f"#!/bin/sh\nRESTIC={found}\nOUT={folder}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    yield folder


# --- files ---


async def test_files_of_every_kind_come_over_as_they_were(bench: LocalCopiesBench) -> None:
    home = bench.tree("iu") / "ada"
    home.mkdir(mode=0o700)
    (home / "two\nlines").write_bytes(b"1")
    Path(os.fsdecode(os.fsencode(home) + b"/na\xefve \xff")).write_bytes(b"2")
    (home / "-rf *").write_bytes(b"3")
    (home / "first").write_bytes(b"linked")
    (home / "second").hardlink_to(home / "first")
    (home / "dangling").symlink_to("/nowhere/at all")
    (home / "empty").mkdir()
    with (home / "sparse").open("wb") as file:
        file.truncate(30 << 20)
        file.seek(20 << 20)
        file.write(b"end")
    os.mkfifo(home / "pipe")
    with closing(socket.socket(socket.AF_UNIX)) as unix:
        unix.bind(str(home / "socket"))
    many = home / "many"
    many.mkdir()
    for n in range(MANY):
        (many / f"{n}").write_bytes(b"%d" % n)
    _, saved = await save(bench)
    assert saved.unread == ()
    there = await carried_over(bench) / "ada"
    assert {entry.name for entry in there.iterdir()} == {entry.name for entry in home.iterdir()} - {"socket"}
    assert (there / "two\nlines").read_bytes() == b"1"
    assert Path(os.fsdecode(os.fsencode(there) + b"/na\xefve \xff")).read_bytes() == b"2"
    assert (there / "first").stat().st_ino == (there / "second").stat().st_ino
    assert (there / "dangling").readlink() == Path("/nowhere/at all")
    assert (there / "sparse").read_bytes() == (home / "sparse").read_bytes()
    assert sum(1 for _ in (there / "many").iterdir()) == MANY
    assert (there / "many" / "77").read_bytes() == b"77"


async def test_files_that_change_and_vanish_while_they_are_copied_fail_nothing(bench: LocalCopiesBench) -> None:
    home = bench.tree("iu") / "ada"
    home.mkdir()
    for n in range(MANY):
        (home / f"{n}").write_bytes(b"x" * 100)
    bench.write("iu", {"bob/still": b"nobody touches this"})
    over = threading.Event()

    def churn() -> None:
        n = 0
        while not over.is_set():
            (home / f"{n % MANY}").unlink(missing_ok=True)
            (home / f"{(n - 50) % MANY}").write_bytes(os.urandom(200))
            n += 1

    student = threading.Thread(target=churn)
    student.start()
    try:
        copy, saved = await save(bench)
    finally:
        over.set()
        student.join()
    assert saved.files > MANY // 2
    assert all(name.startswith(("ada/", "and ")) for name in saved.unread), "only the first ones are named"
    assert (await bench.copies("tacc").restore(copy, E2, SECRET)).done
    assert bench.read("tacc")["bob/still"] == b"nobody touches this"


async def test_what_could_not_be_read_is_named_and_the_rest_is_saved(
    bench: LocalCopiesBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("iu", {"ada/closed": b"secret", "ada/open": b"work"})
    closed = bench.tree("iu") / "ada" / "closed"
    if os.getuid() == 0:
        os.chown(closed, 12345, 12345)
    closed.chmod(0)
    drop = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all" if os.getuid() == 0 else ""
    with other_restic(monkeypatch, bench, f'exec {drop} $RESTIC "$@"'):
        saved = await bench.anew("iu").copies.save(HUB, E1, SECRET, run="run")
    assert saved.unread == ("ada/closed",)
    await bench.copies("tacc").restore(CopyRef("iu", HUB, saved.snapshot), E2, SECRET)
    assert bench.read("tacc") == {"ada/open": b"work"}


# --- the hub's database ---


async def test_the_database_is_copied_whole_while_somebody_writes_in_it(bench: LocalCopiesBench) -> None:
    path = hub_database(bench, "iu", "ada", "bob")
    with closing(sqlite3.connect(path)) as writing:
        writing.execute("INSERT INTO users VALUES ('not committed')")
        _, saved = await save(bench)
    assert saved.database
    await carried_over(bench)
    there = bench.settings["tacc"].hub_dir(HUB) / "hub.sqlite"
    assert users_in(there) == ["ada", "bob"]
    assert there.stat().st_mode & 0o777 == 0o600
    assert there.parent.stat().st_mode & 0o777 == 0o700


async def test_a_database_of_an_earlier_time_is_kept_beside_the_new_one(bench: LocalCopiesBench) -> None:
    hub_database(bench, "iu", "ada")
    old = hub_database(bench, "tacc", "somebody else")
    await carried_over(bench)
    assert users_in(old) == ["ada"]
    assert users_in(old.with_name(f"hub.sqlite.kept-{E2}")) == ["somebody else"]


async def test_a_hub_that_lost_its_database_is_saved_without_one(bench: LocalCopiesBench) -> None:
    path = hub_database(bench, "iu", "ada")
    await save(bench)
    path.unlink()
    _, saved = await save(bench)
    assert not saved.database
    await carried_over(bench)
    assert not (bench.settings["tacc"].hub_dir(HUB) / "hub.sqlite").exists()


async def test_a_database_that_cannot_be_copied_is_said_and_the_homes_are_saved(bench: LocalCopiesBench) -> None:
    hub_database(bench, "iu", "ada").write_bytes(b"no database" * 1000)
    bench.write("iu", {"ada/work": b"1"})
    _, saved = await save(bench)
    assert "database" in saved.unread[-1]
    assert set(saved.homes) == {"ada"}


# --- whose files they are ---


@pytest.mark.needs_root
async def test_homes_belong_to_the_uids_of_the_site_they_come_to(bench: LocalCopiesBench) -> None:
    hub_database(bench, "iu", "ada", "Bob Builder")
    bench.write("iu", {"ada/x": b"1", "bobbuilder.f3c1b2a4d5/x": b"2"})
    settings = bench.settings["tacc"]
    uid_of(settings.uids_file, HUB, "carol", settings.first_student_uid)
    uid_of(settings.uids_file, HUB, "ada", settings.first_student_uid)
    os.chown(bench.tree("iu") / "ada/x", 310_005, 310_005)
    tree = await carried_over(bench)
    isolated = bool((await bench.copies("tacc").isolation()).on)  # type: ignore[attr-defined]
    assert (tree / "ada/x").stat().st_uid == (settings.first_student_uid + 1 if isolated else 0)
    # no user of the hub is called like that: until its student comes it is nobody's, whatever number it had
    assert (tree / "bobbuilder.f3c1b2a4d5/x").stat().st_uid == 0


@pytest.mark.needs_root
async def test_students_cannot_read_store_cache_or_staged_database(bench: LocalCopiesBench) -> None:
    hub_database(bench, "iu", "ada")
    bench.write("iu", {"ada/x": b"1"})
    await save(bench)
    own = bench.settings["iu"]
    for path in (
        bench.repository("iu"),
        own.copies_dir,
        own.copies_dir / "cache",
        bench.tree("iu") / ".hubfed-hub.sqlite",
    ):
        tried = subprocess.run(
            ["setpriv", "--reuid=310001", "--regid=310001", "--clear-groups", "cat", path],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Permission denied" in tried.stderr, path


# --- secrets, deadlines, locks ---


async def test_no_secret_is_in_an_argument_or_left_in_a_file(
    bench: LocalCopiesBench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.write("iu", {"ada/x": b"1"})
    with other_restic(monkeypatch, bench, 'echo "$@" >>$OUT/said; exec $RESTIC "$@"') as folder:
        copies = bench.anew("iu").copies
        await copies.save(HUB, E1, SECRET, run="run")
        assert SECRET not in (folder / "said").read_text()
    assert SECRET not in "".join(capfd.readouterr())
    for path in bench.root.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    assert list((bench.settings["iu"].copies_dir / "runs").iterdir()) == []


async def test_a_restic_that_hangs_is_killed_at_the_deadline_and_the_next_save_works(
    bench: LocalCopiesBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("iu", {"ada/x": b"1"})
    await save(bench)
    script = 'case "$*" in *backup*) sleep 1000 & echo $! >$OUT/pid; wait;; esac; exec $RESTIC "$@"'
    with other_restic(monkeypatch, bench, script) as folder:
        with pytest.raises(DeadlineExceeded, match="did not end within"):
            await bench.anew("iu").copies.save(HUB, E1, SECRET, run="hung", limit_s=2.0)
        pid = int((folder / "pid").read_text())

        async def nothing_left() -> bool:
            mine = bench.processes.find({"HUBFED_ROLE": "copy", "HUBFED_COPY": HUB})
            return not mine and bench.processes.identify(pid) is None

        await until(nothing_left, "what was killed with it is gone a moment later", 5.0)
    await save(bench)
    assert [copy.run for copy in await bench.copies("iu").list("iu", HUB, SECRET)] == ["run", "run"]


async def test_a_lock_that_a_killed_restic_left_is_removed_by_the_site_that_writes_there(
    bench: LocalCopiesBench,
) -> None:
    await save(bench)
    restic = await restic_or_skip()
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": SECRET, "RESTIC_CACHE_DIR": str(bench.root / "other")}
    words = [str(restic.path), "-r", str(bench.repository("iu")), "backup", "--stdin"]
    killed = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    locks = bench.repository("iu") / "locks"
    while not any("tmp" not in lock.name for lock in locks.iterdir()):
        await asyncio.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert await bench.copies("tacc").list("iu", HUB, SECRET)  # a reader neither waits for it nor removes it
    assert list(locks.iterdir())
    await bench.anew("iu").copies.save(HUB, E1, SECRET, run="after")
    assert list(locks.iterdir()) == []


async def test_a_lock_of_somebody_who_lives_is_respected_and_said(bench: LocalCopiesBench) -> None:
    copy, _ = await save(bench)
    restic = await restic_or_skip()
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": SECRET, "RESTIC_CACHE_DIR": str(bench.root / "other")}
    words = [str(restic.path), "-r", str(bench.repository("iu")), "prune"]
    pruning = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    locks = bench.repository("iu") / "locks"
    try:
        while not any("tmp" not in lock.name for lock in locks.iterdir()):
            await asyncio.sleep(0.001)
        freeze(pruning.pid)
        with pytest.raises(DriverError, match="locked by somebody else"):
            await bench.anew("iu").copies.save(HUB, E1, SECRET, run="run")
        assert await bench.copies("tacc").look(copy, SECRET) == ""
    finally:
        pruning.send_signal(signal.SIGCONT)
        pruning.wait()
    await save(bench)


async def test_a_repository_whose_making_was_interrupted_is_made_anew(bench: LocalCopiesBench) -> None:
    half = bench.repository("iu").with_name(f".new-{HUB}")
    (half / "keys").mkdir(parents=True)
    (half / "keys" / "one").write_bytes(b"a key without a config")
    await save(bench)
    assert not half.exists()


# --- what stands in the way of a restore ---


async def test_a_restore_of_damaged_files_leaves_no_tree(bench: LocalCopiesBench) -> None:
    bench.write("iu", {"ada/x": os.urandom(100_000)})
    copy, _ = await save(bench)
    largest = max((path for path in bench.repository("iu").rglob("data/*/*")), key=lambda path: path.stat().st_size)
    largest.chmod(0o600)
    largest.write_bytes(os.urandom(largest.stat().st_size))
    assert await bench.copies("tacc").look(copy, SECRET) == ""  # it reads the top alone
    with pytest.raises(DriverError, match="damaged"):
        await bench.copies("tacc").restore(copy, E2, SECRET)
    assert not bench.tree("tacc").exists()


async def test_a_restore_that_would_fill_the_disk_is_refused_before_it_begins(
    bench: LocalCopiesBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("iu", {"ada/x": b"1"})
    copy, _ = await save(bench)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=100))
    assert "MiB are free" in await bench.copies("tacc").look(copy, SECRET)
    with pytest.raises(DriverError, match="MiB are free"):
        await bench.copies("tacc").restore(copy, E2, SECRET)


async def test_nothing_is_restored_onto_a_volume_that_is_not_mounted(bench: LocalCopiesBench) -> None:
    bench.write("iu", {"ada/x": b"1"})
    copy, _ = await save(bench)
    await bench.drivers("tacc").homes.ensure("other-abc123", E1)
    shutil.rmtree(bench.settings["tacc"].homes_dir)
    with pytest.raises(DriverError, match="is the volume mounted"):
        await bench.copies("tacc").restore(copy, E2, SECRET)


async def test_an_s3_store_that_cannot_be_reached_is_a_sentence_within_the_limit(bench: LocalCopiesBench) -> None:
    keys = bench.root / "keys.env"
    keys.write_text("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n")
    keys.chmod(0o600)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # taken, and nobody listens
        store = CopyStore(f"s3:https://127.0.0.1:{held.getsockname()[1]}/bucket/homes", keys)
        copies = bench.anew("tacc", copies=store).copies
        said = await copies.look(CopyRef("iu", HUB, "0" * 64), SECRET, limit_s=3.0)
    assert "cannot be reached" in said
