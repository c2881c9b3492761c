"""A class on a local site as its students and its admin see it: sign-in, work, isolation, changes, faults."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.drivers.base import HubOrder, Phase
from agents.drivers.edges import Route
from federation.model.errors import DriverError
from federation.model.status import ConditionType, Truth
from tests.support.hub_bench import LocalBench, local_hubs, local_site_or_skip
from tests.support.local_site import PASSWORD, LocalSite, lease, order, serving, until
from tests.support.student import Student

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = "atm101.localhost"
NAP = str(100_000 + os.getpid()).encode()  # seconds that no other test sleeps


class Class:
    """The one class of this module, open at its site's edge."""

    def __init__(self, site: LocalSite, address: str) -> None:
        self.site = site
        self.base = f"http://{address}"
        self.generation = 0
        self.order: HubOrder = order()

    async def run(self, **sections: Any) -> None:
        """Give the next order and wait until it serves; without sections it is the class as it was at first."""
        self.generation += 1
        self.order = order(generation=self.generation, **sections)
        view = await serving(self.site.drivers, self.order)
        await self.site.drivers.edge.publish((Route(self.order.hub, self.order.epoch, (HOST,), view.address),))

    def student(self, name: str) -> Student:
        return Student(self.base, HOST, name)

    @property
    def folder(self) -> Path:
        return self.site.settings.hub_dir(self.order.hub)

    def pids(self, role: str) -> set[int]:
        marks = self.site.settings.marks(HUB=self.order.hub, ROLE=role)
        return {found.pid for found in self.site.processes.find(marks, descendants=False)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> AsyncIterator[Class]:
    async with local_site_or_skip() as site:
        made = Class(site, await site.drivers.edge.ensure())
        await site.drivers.homes.ensure(made.order.hub, made.order.epoch)
        site.write_lease(lease({made.order.hub: (made.order.epoch, None)}))
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def atm101(opened: Class) -> Class:
    await opened.run()
    return opened


async def test_who_is_on_the_roster_and_knows_the_password_may_sign_in(atm101: Class) -> None:
    async with atm101.student("ada") as ada:
        assert await ada.sign_in("wrong") == 403
        assert await ada.sign_in(PASSWORD) == 200
    async with atm101.student("mallory") as mallory:
        assert await mallory.sign_in(PASSWORD) == 403


async def test_a_file_saved_in_jupyter_is_there_after_a_stop_and_a_start(atm101: Class) -> None:
    async with atm101.student("ada") as ada:
        await ada.sign_in(PASSWORD)
        await ada.start_server()
        await ada.save("notes.txt", "kept")
        await ada.stop_server()
        await ada.start_server()
        assert await ada.read("notes.txt") == "kept"


@pytest.mark.parametrize("role", ["hub", "proxy"])
async def test_a_student_works_on_when_the_hub_or_its_proxy_was_killed(atm101: Class, role: str) -> None:
    bench = LocalBench(atm101.site)
    async with atm101.student("ada") as ada:
        await ada.sign_in(PASSWORD)
        await ada.start_server()
        await ada.save("before.txt", "before")
        servers = atm101.pids("server")
        bench.kill(atm101.order.hub, role)
        if role == "hub":  # the proxy knows the way
            assert await ada.read("before.txt") == "before"
        await serving(atm101.site.drivers, atm101.order)

        async def reads() -> bool:
            return await ada.status("user/ada/api/contents/before.txt") == 200

        await until(reads, "the student's server is reached again", 15)
        assert servers <= atm101.pids("server")
        await ada.stop_server()  # the new hub has adopted it


async def test_stop_ends_kernels_and_terminals_and_what_they_detached(atm101: Class) -> None:
    async with atm101.student("ada") as ada:
        await ada.sign_in(PASSWORD)
        await ada.start_server()
        await ada.start_kernel()
        async with ada.terminal() as shell:
            await shell.run(f"(setsid env -i sleep {NAP.decode()} &) ; (setsid sleep {NAP.decode()} &)")
            assert "naps=2" in await shell.run(f"sleep 0.5; pgrep -c -f '^sleep {NAP.decode()}' | sed s/^/naps=/")
        await atm101.site.drivers.hubs.stop(atm101.order.hub)
    left = await atm101.site.drivers.hubs.observe(atm101.order.hub)
    assert (left.phase, left.processes) == (Phase.STOPPED, 0)
    sleeping = [
        path for path in Path("/proc").glob("[0-9]*/cmdline") if _read(path).split(b"\0")[:2] == [b"sleep", NAP]
    ]
    assert sleeping == []


@pytest.mark.needs_root
async def test_students_cannot_read_each_other_or_the_agent(atm101: Class) -> None:
    view = await atm101.site.drivers.cluster.observe()
    said = {condition.type: condition for condition in view.conditions}
    assert said[ConditionType.ISOLATED].status is Truth.TRUE, said[ConditionType.ISOLATED].message
    journal = atm101.site.settings.state_dir / "journal.json"
    journal.write_text("secret")
    async with atm101.student("bob") as bob, atm101.student("ada") as ada:
        for student in (bob, ada):
            await student.sign_in(PASSWORD)
            await student.start_server()
        await bob.save("private.txt", "of bob")
        home = atm101.site.settings.homes_dir / atm101.order.hub / "bob"
        hub_pid, bobs = next(iter(atm101.pids("hub"))), atm101.pids("server")
        secrets = (
            journal,
            home / "private.txt",
            atm101.folder / "hub.json",
            atm101.folder / "hub.sqlite",
            atm101.folder / "hub.log",
            atm101.site.settings.lease_file,
            Path(f"/proc/{hub_pid}/environ"),
        )
        async with ada.terminal() as shell:
            assert "uid=2000" in await shell.run("id")
            assert "kept open" in await shell.run("echo kept open; touch ~/mine && ls ~/mine")
            for path in secrets:
                assert path.exists()
                assert "Permission denied" in await shell.run(f"cat {path}"), path
            assert "Permission denied" in await shell.run(f"ls {home}")
            assert "Permission denied" in await shell.run(f"ls {atm101.site.settings.homes_dir / atm101.order.hub}")
            seen = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c ^USER={} | sed s/^/count=/"
            assert "count=0" in await shell.run(seen.format("bob"))
            assert "count=0" not in await shell.run(seen.format("ada"))  # the command does see what may be seen
        assert len(bobs) >= 2
    _nothing_secret_in_arguments(atm101)


async def test_secrets_are_never_process_arguments(atm101: Class) -> None:
    _nothing_secret_in_arguments(atm101)


async def test_a_changed_roster_is_applied_without_a_restart(atm101: Class) -> None:
    hub = atm101.pids("hub")
    changed = {"expected": 2, "admins": ["ada"], "users": ["carol", "prof"]}

    async def applied() -> bool:
        await atm101.site.drivers.hubs.start(atm101.order)
        roster = await atm101.site.drivers.hubs.roster(atm101.order.hub)
        return [(u.name, u.admin) for u in roster] == [("ada", True), ("carol", False), ("prof", False)]

    await atm101.run(roster=changed)
    await until(applied, "the hub knows the new roster", 10)
    assert atm101.pids("hub") == hub
    async with atm101.student("carol") as carol, atm101.student("bob") as bob:
        assert await carol.sign_in(PASSWORD) == 200
        assert await bob.sign_in(PASSWORD) == 403
    await atm101.run()
    await until(
        _known(atm101, ["ada", "bob", "prof"]),
        "the hub knows the first roster again",
        10,
    )


async def test_a_change_of_sign_in_restarts_the_hub_and_no_server(atm101: Class) -> None:
    async with atm101.student("ada") as ada:
        await ada.sign_in(PASSWORD)
        await ada.start_server()
        hub, servers = atm101.pids("hub"), atm101.pids("server")
        await atm101.run(
            term={"start": "2026-11-20", "end": "2026-11-25", "timezone": "America/Chicago"},
            roster={"expected": 2, "admins": ["prof"], "users": ["ada", "bob"], "admit": "anyone-with-password"},
        )
        assert atm101.pids("hub") != hub
        assert servers <= atm101.pids("server")
        async with atm101.student("guest") as guest:
            assert await guest.sign_in(PASSWORD) == 200
    # who signed in as a guest stays known to the hub, as on its admin page: take them out again
    hubs = local_hubs(atm101.site.drivers.hubs)
    file = hubs.file(atm101.order.hub)
    assert file is not None
    await hubs.api.remove_user(file.address, "guest")


async def test_the_hubs_files_are_private_and_its_database_is_its_own(atm101: Class) -> None:
    assert atm101.folder.stat().st_mode & 0o777 == 0o700
    assert (atm101.folder / "hub.json").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(f"file:{atm101.folder / 'hub.sqlite'}?mode=ro", uri=True) as database:
        assert database.execute("select count(*) from users").fetchone()[0] >= 3


async def test_a_hub_that_cannot_start_says_why(atm101: Class) -> None:
    broken = order(name="broken", uid6="abc123")
    hubs = atm101.site.drivers.hubs
    await atm101.site.drivers.homes.ensure(broken.hub, broken.epoch)
    folder = atm101.site.settings.hub_dir(broken.hub)
    (folder / "hub.sqlite").mkdir(parents=True)  # no database can be made there

    async def failed() -> bool:
        try:
            await hubs.start(broken)
        except DriverError as error:
            return "ends soon after each start" in str(error)
        return False

    await until(failed, "the failure is told", 60)
    view = await hubs.observe(broken.hub)
    assert (view.phase, "ends soon" in view.message) == (Phase.FAILED, True)
    await hubs.stop(broken.hub)


def _known(opened: Class, names: list[str]) -> Any:
    async def known() -> bool:
        await opened.site.drivers.hubs.start(opened.order)
        return [user.name for user in await opened.site.drivers.hubs.roster(opened.order.hub)] == names

    return known


def _nothing_secret_in_arguments(opened: Class) -> None:
    file = local_hubs(opened.site.drivers.hubs).file(opened.order.hub)
    assert file is not None
    planted = [file.secrets.api_token, file.secrets.proxy_token, file.secrets.cookie_secret, PASSWORD]
    for found in opened.site.processes.find(opened.site.settings.marks(HUB=opened.order.hub)):
        line = _read(Path(f"/proc/{found.pid}/cmdline")).decode(errors="replace")
        assert not [secret for secret in planted if secret in line]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
