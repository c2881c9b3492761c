"""Unsent work with a real restic and real directories: odd names, whose files they are, kill -9, a full disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from agents.drivers.base import CopyRef, Placed
from agents.drivers.local.students import uid_of
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from tests.integration.test_killed_restore import Killer
from tests.support.copies_bench import HUB, SECRET, LocalCopiesBench, directory_bench
from tests.support.local_site import E1, E2

FOLDER = "recovered-iu-2026-09-01T140503Z"
OLD = {"ada/kept": b"as it was", "ada/touched": b"same", "ada/gone": b"deleted later", "bob/b": b"bob's"}


@pytest.fixture
async def bench() -> AsyncIterator[LocalCopiesBench]:
    async with directory_bench() as made:
        await made.drivers("iu").homes.ensure(HUB, E1)
        made.write("iu", OLD)
        yield made


async def restored_at_tacc(bench: LocalCopiesBench) -> CopyRef:
    saved = await bench.copies("iu").save(HUB, E1, SECRET, run="run")
    base = CopyRef("iu", HUB, saved.snapshot)
    await bench.copies("tacc").restore(base, E2, SECRET)
    return base


def odd_work(home: Path) -> set[bytes]:
    """Changes of every kind; returns the paths that are work."""
    (home / "touched").touch()
    (home / "gone").unlink()
    (home / "two\nlines").write_bytes(b"1")
    Path(os.fsdecode(os.fsencode(home) + b"/na\xefve \xff")).write_bytes(b"2")
    (home / "-rf *").write_bytes(b"3")
    (home / "deep" / "\u00fcber").mkdir(parents=True)
    (home / "deep" / "\u00fcber" / "empty").write_bytes(b"")
    (home / "link").symlink_to("/nowhere/at all")
    (home / "to-folder").symlink_to("deep")
    (home / "no files").mkdir()
    os.mkfifo(home / "pipe")
    (home / "kept").write_bytes(b"as it is now")
    names = [b"two\nlines", b"na\xefve \xff", b"-rf *", "deep/\u00fcber/empty".encode(), b"link", b"to-folder", b"kept"]
    return set(names)


def everything(folder: Path) -> set[bytes]:
    root = os.fsencode(folder)
    found = set()
    for top, folders, files in os.walk(root):
        links = [name for name in folders if Path(os.fsdecode(os.path.join(top, name))).is_symlink()]  # noqa: PTH118
        found |= {os.path.relpath(os.path.join(top, name), root) for name in (*files, *links)}  # noqa: PTH118
    return found


@pytest.mark.parametrize(("site", "other", "epoch"), [("iu", "tacc", E1), ("tacc", "iu", E2)])
async def test_changes_of_every_kind_come_over_and_nothing_else(
    bench: LocalCopiesBench, site: str, other: str, epoch: Epoch
) -> None:
    """From the site that made the copy, where restic compares, and from the one that restored it, where we do."""
    base = await restored_at_tacc(bench)
    expected = odd_work(bench.tree(site) / "ada")
    before = everything(bench.tree(site))
    work = await bench.copies(site).save_unsent(HUB, epoch, base, SECRET, run="late")
    if site == "tacc":
        expected |= {b"touched"}  # by kind, size and time alone it is another file
    assert work.homes.keys() == {"ada"}
    assert work.homes["ada"].files == len(expected)
    placed = await bench.copies(other).recover(CopyRef(site, HUB, work.snapshot), FOLDER, ("ada",), SECRET)
    assert placed == Placed(done=("ada",))
    there = bench.tree(other) / "ada" / FOLDER
    assert everything(there) == expected
    assert (there / "kept").read_bytes() == b"as it is now"
    assert (there / "link").readlink() == Path("/nowhere/at all")
    assert (bench.tree(other) / "ada" / "kept").read_bytes() == b"as it was"
    assert (bench.tree(other) / "ada" / "gone").exists(), "what was deleted there is not deleted here"
    assert everything(bench.tree(site)) == before
    assert not list(bench.settings[site].homes_dir.glob(".aside-*"))


@pytest.mark.needs_root
async def test_what_comes_over_is_the_students_own_and_nobody_elses(bench: LocalCopiesBench) -> None:
    base = await restored_at_tacc(bench)
    bench.write("iu", {"ada/new/x": b"1"})
    work = await bench.copies("iu").save_unsent(HUB, E1, base, SECRET, run="late")
    await bench.copies("tacc").recover(CopyRef("iu", HUB, work.snapshot), FOLDER, ("ada",), SECRET)
    settings, there = bench.settings["tacc"], bench.tree("tacc") / "ada" / FOLDER
    isolated = bool((await bench.copies("tacc").isolation()).on)  # type: ignore[attr-defined]
    wanted = uid_of(settings.uids_file, HUB, "ada", settings.first_student_uid) if isolated else 0
    assert {path.stat().st_uid for path in (there, there / "new", there / "new/x")} == {wanted}
    assert there.stat().st_mode & 0o777 == 0o700


async def test_an_agent_killed_between_two_students_goes_on_with_the_others(bench: LocalCopiesBench) -> None:
    base = await restored_at_tacc(bench)
    bench.write("iu", {"ada/kept": b"later", "bob/b": b"later", "eve/e": b"later"})
    work = await bench.copies("iu").save_unsent(HUB, E1, base, SECRET, run="late")
    copy = CopyRef("iu", HUB, work.snapshot)

    def places() -> list[str]:
        return sorted(path.parent.name for path in bench.tree("tacc").glob(f"*/{FOLDER}"))

    seen = set()
    for at in range(1, 8):
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                sys.addaudithook(Killer(at, os.open(os.devnull, os.O_WRONLY), only="os.rename"))
                asyncio.run(bench.anew("tacc").copies.recover(copy, FOLDER, (), SECRET))
            os._exit(0)
        await asyncio.to_thread(os.waitpid, child, 0)
        seen.add(tuple(places()))
        if len(places()) == 3:
            break
        for name in places():
            shutil.rmtree(bench.tree("tacc") / name / FOLDER)
    assert {(), ("ada",), ("ada", "bob"), ("ada", "bob", "eve")} <= seen
    shutil.rmtree(bench.tree("tacc") / "eve" / FOLDER)
    again = await bench.anew("tacc").copies.recover(copy, FOLDER, (), SECRET)
    assert again == Placed(done=("eve",), there=("ada", "bob"))
    assert not list(bench.settings["tacc"].homes_dir.glob(".aside-*"))


async def test_on_a_full_disk_nothing_is_put_anywhere(bench: LocalCopiesBench, monkeypatch: pytest.MonkeyPatch) -> None:
    base = await restored_at_tacc(bench)
    bench.write("iu", {"ada/kept": b"later"})
    work = await bench.copies("iu").save_unsent(HUB, E1, base, SECRET, run="late")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=100))
    with pytest.raises(DriverError, match="MiB are free"):
        await bench.copies("tacc").recover(CopyRef("iu", HUB, work.snapshot), FOLDER, (), SECRET)
    with pytest.raises(DriverError, match=r"the home ada needs 256 MiB at .*MiB are free"):
        await bench.copies("tacc").restore_aside(base, "ada", FOLDER, SECRET)
    assert bench.read("tacc") == OLD
