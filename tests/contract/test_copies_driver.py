"""What every CopiesDriver promises, on the in-memory twin and with restic, on a folder and on S3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from agents.drivers.base import CopyRef, HomesMark, Placed, UnsentHome, UnsentWork
from federation.core.home_names import slug
from federation.model.errors import DriverError, NotFound, StaleEpoch
from federation.model.identity import Epoch
from tests.support.copies_bench import (
    HUB,
    SECRET,
    CopiesBench,
    MemoryCopiesBench,
    directory_bench,
    running_hub,
    s3_bench,
)
from tests.support.local_site import E1, E2
from tests.support.s3 import s3_server

E3 = Epoch(era=1, n=3)
WORK = {"ada/a.ipynb": b"ada's", "bob/b.ipynb": b"bob's", "bob/data/big": b"x" * 70_000}


@asynccontextmanager
async def memory_bench() -> AsyncIterator[CopiesBench]:
    yield MemoryCopiesBench()


@asynccontextmanager
async def bucket_bench() -> AsyncIterator[CopiesBench]:
    with s3_server() as server:
        async with s3_bench(server) as bench:
            yield bench


BUILT_S = 1000  # the S3 server is built once per machine, within the first test that needs it


@pytest.fixture(params=["memory", "folder", pytest.param("s3", marks=pytest.mark.timeout(BUILT_S))])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[CopiesBench]:
    kinds = {"memory": memory_bench, "folder": directory_bench, "s3": bucket_bench}
    made: AbstractAsyncContextManager[CopiesBench] = kinds[request.param]()
    async with made as here:
        yield here


@pytest.fixture(params=["memory", "folder"])
async def near(request: pytest.FixtureRequest) -> AsyncIterator[CopiesBench]:
    """For what has nothing to do with where the store is."""
    async with {"memory": memory_bench, "folder": directory_bench}[request.param]() as here:
        yield here


async def saved(bench: CopiesBench, site: str = "iu", epoch: Epoch = E1, run: str = "run-1") -> CopyRef:
    """The tree of the site as a copy."""
    return CopyRef(site, HUB, (await bench.copies(site).save(HUB, epoch, SECRET, run=run)).snapshot)


async def working(bench: CopiesBench) -> None:
    """A class with work in it at iu."""
    await bench.drivers("iu").homes.ensure(HUB, E1)
    bench.write("iu", WORK)


async def test_a_copy_made_at_one_site_is_restored_at_the_other_with_every_file(bench: CopiesBench) -> None:
    await working(bench)
    copy = await saved(bench)
    assert await bench.copies("tacc").look(copy, SECRET) == ""
    restored = await bench.copies("tacc").restore(copy, E2, SECRET)
    assert restored.done
    assert restored.kept == ()
    assert restored.tree == await bench.drivers("tacc").homes.where(HUB)
    assert bench.read("tacc") == WORK
    assert await bench.drivers("tacc").homes.ensure(HUB, E2) == restored.tree


async def test_a_copy_says_what_is_in_it_and_which_homes_changed_since_the_last(bench: CopiesBench) -> None:
    await working(bench)
    first = await bench.copies("iu").save(HUB, E1, SECRET, run="run-1")
    bench.write("iu", {"bob/data/more": b"new"})
    second = await bench.copies("iu").save(HUB, E1, SECRET, run="run-2")
    assert {name: home.changed for name, home in first.homes.items()} == {"ada": True, "bob": True}
    assert {name: home.changed for name, home in second.homes.items()} == {"ada": False, "bob": True}
    assert second.homes["bob"].bytes == len(b"bob's") + 70_000 + len(b"new")
    assert second.snapshot != first.snapshot
    assert second.unread == ()


async def test_copies_are_listed_with_epoch_run_and_size_by_either_site(bench: CopiesBench) -> None:
    await working(bench)
    first = await saved(bench)
    await bench.drivers("iu").homes.ensure(HUB, E2)
    second = await saved(bench, epoch=E2, run="run-2")
    for site in ("iu", "tacc"):
        listed = await bench.copies(site).list("iu", HUB, SECRET)
        assert [(copy.snapshot, copy.epoch, copy.run) for copy in listed] == [
            (first.snapshot, E1, "run-1"),
            (second.snapshot, E2, "run-2"),
        ]
        assert listed[0].bytes >= 70_000
        assert listed[0].taken <= listed[1].taken


async def test_a_site_that_never_saved_has_no_copies(bench: CopiesBench) -> None:
    assert await bench.copies("tacc").list("iu", HUB, SECRET) == ()


async def test_a_restore_takes_the_copy_that_is_named_not_the_latest(bench: CopiesBench) -> None:
    await working(bench)
    named = await saved(bench)
    bench.write("iu", {"ada/a.ipynb": b"written after the takeover was decided"})
    await saved(bench, run="late")
    await bench.copies("tacc").restore(named, E2, SECRET)
    assert bench.read("tacc") == WORK


async def test_the_same_restore_again_leaves_what_was_written_since(near: CopiesBench) -> None:
    await working(near)
    copy = await saved(near)
    await near.copies("tacc").restore(copy, E2, SECRET)
    await near.drivers("tacc").homes.ensure(HUB, E2)
    assert await near.drivers("tacc").homes.mark(HUB) == HomesMark(E2, copy)
    near.write("tacc", {"ada/a.ipynb": b"newer"})
    again = await near.anew("tacc").copies.restore(copy, E2, SECRET)
    assert not again.done
    assert near.read("tacc")["ada/a.ipynb"] == b"newer"


async def test_the_tree_that_was_there_is_kept_aside_and_reported(near: CopiesBench) -> None:
    await near.drivers("tacc").homes.ensure(HUB, E1)
    near.write("tacc", {"ada/unsent": b"only here"})
    await working(near)
    copy = await saved(near)
    restored = await near.copies("tacc").restore(copy, E2, SECRET)
    assert len(restored.kept) == 1
    assert near.read("tacc") == WORK
    later = await near.copies("tacc").restore(copy, E3, SECRET)
    assert len(later.kept) == 2
    assert later.kept[0] == restored.kept[0]


async def test_homes_of_a_newer_epoch_are_never_replaced_or_saved_as_older(near: CopiesBench) -> None:
    await working(near)
    copy = await saved(near)
    await near.drivers("tacc").homes.ensure(HUB, E3)
    with pytest.raises(StaleEpoch):
        await near.copies("tacc").restore(copy, E2, SECRET)
    with pytest.raises(StaleEpoch):
        await near.copies("tacc").save(HUB, E2, SECRET, run="run-1")


async def test_a_tree_is_not_saved_under_an_epoch_that_does_not_own_it_yet(near: CopiesBench) -> None:
    await working(near)
    with pytest.raises(DriverError):
        await near.copies("iu").save(HUB, E2, SECRET, run="run-1")
    with pytest.raises(DriverError, match="no homes"):
        await near.copies("tacc").save(HUB, E2, SECRET, run="run-1")
    assert await near.copies("iu").list("iu", HUB, SECRET) == ()


async def test_each_reason_why_a_copy_cannot_be_restored_is_a_sentence_of_its_own(bench: CopiesBench) -> None:
    await working(bench)
    copy = await saved(bench)
    look = bench.copies("tacc").look
    assert "password does not open" in await look(copy, "another")
    assert "no repository" in await look(CopyRef("tacc", HUB, copy.snapshot), SECRET)
    assert "not in the repository" in await look(CopyRef("iu", HUB, "0" * 64), SECRET)
    bench.damage("iu")
    assert "damaged" in await look(copy, SECRET)
    with pytest.raises(DriverError, match="damaged"):
        await bench.copies("tacc").restore(copy, E2, SECRET)


async def test_no_hub_starts_in_other_homes_while_its_restore_is_due_until_that_is_given_up(near: CopiesBench) -> None:
    await working(near)
    copy = await saved(near)
    near.damage("iu")
    with pytest.raises(DriverError, match="damaged"):
        await near.copies("tacc").restore(copy, E2, SECRET)
    assert near.read("tacc") == {}
    with pytest.raises(DriverError, match="was ordered and has not ended"):
        await near.anew("tacc").homes.ensure(HUB, E2)
    await near.copies("tacc").abandon(HUB)
    await near.copies("tacc").abandon(HUB)
    await near.drivers("tacc").homes.ensure(HUB, E2)


async def test_a_store_that_is_gone_is_an_error_and_never_made_anew(bench: CopiesBench) -> None:
    await working(bench)
    copy = await saved(bench)
    bench.unmount()
    with pytest.raises(DriverError):
        await bench.copies("iu").save(HUB, E1, SECRET, run="run-2", limit_s=5.0)
    assert await bench.copies("tacc").look(copy, SECRET, limit_s=5.0) != ""
    assert (await bench.copies("iu").capabilities()).refusal != ""


async def test_both_sites_write_their_own_repository_of_the_same_hub(bench: CopiesBench) -> None:
    await working(bench)
    before = await saved(bench)
    await bench.copies("tacc").restore(before, E2, SECRET)
    bench.write("tacc", {"ada/a.ipynb": b"newer"})
    after = await saved(bench, site="tacc", epoch=E2)
    assert [copy.snapshot for copy in await bench.copies("iu").list("iu", HUB, SECRET)] == [before.snapshot]
    assert [copy.snapshot for copy in await bench.copies("iu").list("tacc", HUB, SECRET)] == [after.snapshot]


async def test_one_students_files_come_back_into_a_side_folder_beside_what_they_have(bench: CopiesBench) -> None:
    await working(bench)
    copy = await saved(bench)
    bench.write("iu", {"bob/b.ipynb": b"spoilt"})
    restore = bench.copies("iu").restore_aside
    assert await restore(copy, "bob", "recovered-iu-2026-09-01T1405", SECRET)
    files = bench.read("iu")
    assert files["bob/b.ipynb"] == b"spoilt"
    assert files["bob/recovered-iu-2026-09-01T1405/b.ipynb"] == b"bob's"
    assert files["bob/recovered-iu-2026-09-01T1405/data/big"] == WORK["bob/data/big"]
    bench.write("iu", {"bob/recovered-iu-2026-09-01T1405/b.ipynb": b"worked on"})
    assert not await restore(copy, "bob", "recovered-iu-2026-09-01T1405", SECRET)
    assert bench.read("iu")["bob/recovered-iu-2026-09-01T1405/b.ipynb"] == b"worked on"


async def test_a_home_that_is_not_in_the_copy_cannot_come_back(near: CopiesBench) -> None:
    await working(near)
    copy = await saved(near)
    with pytest.raises(NotFound, match="no home of carol"):
        await near.copies("iu").restore_aside(copy, "carol", "recovered", SECRET)
    for bad in ("../ada", ".hidden", "a/b"):
        with pytest.raises(DriverError, match="cannot be the name"):
            await near.copies("iu").restore_aside(copy, "bob", bad, SECRET)


FOLDER = "recovered-iu-2026-09-01T140503Z"


async def taken_over(bench: CopiesBench) -> CopyRef:
    """A class whose copy was restored at tacc, and that has worked on at both sites since."""
    await working(bench)
    base = await saved(bench)
    await bench.copies("tacc").restore(base, E2, SECRET)
    await bench.drivers("tacc").homes.ensure(HUB, E2)
    return base


async def unsent(bench: CopiesBench, base: CopyRef, site: str = "iu", epoch: Epoch = E1) -> UnsentWork:
    return await bench.copies(site).save_unsent(HUB, epoch, base, SECRET, run="late")


async def test_work_that_was_never_sent_comes_to_its_students_beside_what_they_have_now(bench: CopiesBench) -> None:
    base = await taken_over(bench)
    bench.write("iu", {"ada/a.ipynb": b"ada's, later", "ada/deep/new": b"n", "carol/c.ipynb": b"carol's"})
    bench.write("tacc", {"ada/a.ipynb": b"ada's, elsewhere"})
    before = bench.read("tacc")
    work = await unsent(bench, base)
    assert work.homes == {"ada": UnsentHome(2, 13), "carol": UnsentHome(1, 7)}
    placed = await bench.copies("tacc").recover(CopyRef("iu", HUB, work.snapshot), FOLDER, ("ada", "bob"), SECRET)
    assert placed == Placed(done=("ada", "carol"))
    assert bench.read("tacc") == {
        **before,
        f"ada/{FOLDER}/a.ipynb": b"ada's, later",
        f"ada/{FOLDER}/deep/new": b"n",
        f"carol/{FOLDER}/c.ipynb": b"carol's",
    }


async def test_where_nothing_is_unsent_that_is_said_and_nothing_can_be_put_anywhere(near: CopiesBench) -> None:
    base = await taken_over(near)
    near.write("iu", {"ada/.cache/pip": b"1", "ada/.local/share/Trash/files/old": b"2"})
    work = await unsent(near, base)
    assert work == UnsentWork("")


async def test_a_copy_of_unsent_work_is_marked_as_that_and_leaves_the_tree_as_it_was(near: CopiesBench) -> None:
    base = await taken_over(near)
    near.write("iu", {"ada/a.ipynb": b"later"})
    before = near.read("iu")
    work = await unsent(near, base)
    assert near.read("iu") == before
    listed = {copy.snapshot: copy.unsent for copy in await near.copies("tacc").list("iu", HUB, SECRET)}
    assert not listed.pop(base.snapshot)
    assert listed[work.snapshot]
    assert all(listed.values())


async def test_work_that_was_put_into_homes_is_not_put_there_again(near: CopiesBench) -> None:
    base = await taken_over(near)
    near.write("iu", {"ada/a.ipynb": b"later", "bob/b.ipynb": b"later"})
    copy = CopyRef("iu", HUB, (await unsent(near, base)).snapshot)
    near.write("tacc", {f"bob/{FOLDER}/b.ipynb": b"came before, and was worked on"})
    recover = near.copies("tacc").recover
    assert await recover(copy, FOLDER, (), SECRET) == Placed(done=("ada",), there=("bob",))
    near.write("tacc", {f"ada/{FOLDER}/a.ipynb": b"worked on"})
    assert await recover(copy, FOLDER, (), SECRET) == Placed(there=("ada", "bob"))
    assert near.read("tacc")[f"ada/{FOLDER}/a.ipynb"] == b"worked on"
    assert near.read("tacc")[f"bob/{FOLDER}/b.ipynb"] == b"came before, and was worked on"


async def test_a_home_whose_student_only_the_lost_site_knew_waits_for_them(near: CopiesBench) -> None:
    base = await taken_over(near)
    name = slug("Ada@Example")
    near.write("iu", {f"{name}/a": b"1", "bob/b.ipynb": b"later"})
    copy = CopyRef("iu", HUB, (await unsent(near, base)).snapshot)
    recover = near.copies("tacc").recover
    assert await recover(copy, FOLDER, ("bob",), SECRET) == Placed(done=("bob",), unknown=(name,))
    assert await recover(copy, FOLDER, ("bob", "Ada@Example"), SECRET) == Placed(done=(name,), there=("bob",))
    assert near.read("tacc")[f"{name}/{FOLDER}/a"] == b"1"


async def test_a_tree_that_a_later_restore_put_aside_still_has_its_unsent_work(near: CopiesBench) -> None:
    base = await taken_over(near)
    near.write("iu", {"ada/a.ipynb": b"later"})
    await near.copies("iu").restore(await saved(near, "tacc", E2), E3, SECRET)
    await near.drivers("iu").homes.ensure(HUB, E3)
    work = await unsent(near, base)
    assert work.homes == {"ada": UnsentHome(1, 5)}
    recovered = await near.copies("iu").recover(CopyRef("iu", HUB, work.snapshot), FOLDER, (), SECRET)
    assert recovered == Placed(done=("ada",))
    assert near.read("iu") == {**WORK, f"ada/{FOLDER}/a.ipynb": b"later"}


async def test_a_site_lost_before_its_first_copy_is_compared_with_what_it_had_restored(near: CopiesBench) -> None:
    base = await taken_over(near)
    near.write("tacc", {"ada/a.ipynb": b"at tacc", "bob/data/big": b"y" * 70_000, "bob/.cache/x": b"no work"})
    work = await unsent(near, base, "tacc", E2)
    assert work.homes == {"ada": UnsentHome(1, 7), "bob": UnsentHome(1, 70_000)}
    assert {copy.unsent for copy in await near.copies("iu").list("tacc", HUB, SECRET)} == {True}


async def test_of_an_epoch_whose_tree_is_not_there_nothing_can_be_saved(near: CopiesBench) -> None:
    base = await taken_over(near)
    with pytest.raises(NotFound, match=r"no tree of atm101-abc123 of epoch 1\.3"):
        await unsent(near, base, epoch=E3)
    assert len(await near.copies("iu").list("iu", HUB, SECRET)) == 1


async def test_unsent_work_is_not_looked_for_under_a_hub_that_runs(near: CopiesBench) -> None:
    await working(near)
    base = await saved(near)
    await running_hub(near, "iu")
    try:
        with pytest.raises(DriverError, match="run"):
            await unsent(near, base)
    finally:
        await near.drivers("iu").hubs.stop(HUB)


async def test_nothing_is_replaced_while_anything_of_the_hub_runs(near: CopiesBench) -> None:
    await working(near)
    copy = await saved(near)
    await running_hub(near, "tacc")
    try:
        with pytest.raises(DriverError, match="run"):
            await near.copies("tacc").restore(copy, E2, SECRET)
    finally:
        await near.drivers("tacc").hubs.stop(HUB)
    assert (await near.copies("tacc").restore(copy, E2, SECRET)).done
    assert near.read("tacc") == WORK


async def test_a_site_says_what_it_can(bench: CopiesBench) -> None:
    can = await bench.copies("iu").capabilities()
    assert can.refusal == ""
    assert can.restic
    assert can.store
