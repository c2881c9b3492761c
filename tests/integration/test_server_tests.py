"""A test server in a real hub, started through the edge by whoever has the ticket: what it shows, and what it leaves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import date
from http import HTTPStatus

import aiohttp
import pytest
import pytest_asyncio

from agents.drivers.base import HubOrder
from agents.drivers.edges import Route
from agents.drivers.testers_local import LocalTesters
from federation.coordinator.probe import HttpProber
from federation.coordinator.server_probe import Ticket, Tried
from federation.model.scalars import TESTER
from tests.support.hub_bench import local_hubs, local_site_or_skip
from tests.support.local_site import PASSWORD, LocalSite, lease, order, serving
from tests.support.student import Student

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = "atm101.localhost"
SHORT = {"start": date(2026, 9, 1), "end": date(2026, 9, 5), "timezone": "America/Chicago"}
ANYBODY = {"expected": 2, "admins": ["prof"], "users": ["ada"], "admit": "anyone-with-password"}


class Class:
    """A class that serves, to which anybody may sign in, and the edge of its site."""

    def __init__(self, site: LocalSite, edge: str, wanted: HubOrder) -> None:
        self.site, self.edge, self.order = site, edge, wanted

    @property
    def testers(self) -> LocalTesters:
        found = self.site.drivers.testers
        assert isinstance(found, LocalTesters)
        return found

    async def tried(self, limit_s: float = 60.0) -> Tried:
        token = await self.testers.admit(self.order.hub, 120.0)
        return await HttpProber().server(self.edge, HOST, Ticket(TESTER, token, limit_s))

    def pids(self) -> set[int]:
        marks = self.site.settings.marks(HUB=self.order.hub, USER=TESTER)
        return {found.pid for found in self.site.processes.find(marks)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened() -> AsyncIterator[Class]:
    async with local_site_or_skip() as site:
        wanted, edge = order(term=SHORT, roster=ANYBODY), await site.drivers.edge.ensure()
        await site.drivers.homes.ensure(wanted.hub, wanted.epoch)
        site.write_lease(lease({wanted.hub: (wanted.epoch, None)}))
        view = await serving(site.drivers, wanted)
        await site.drivers.edge.publish((Route(wanted.hub, wanted.epoch, (HOST,), view.address),))
        yield Class(site, edge, wanted)


async def test_a_server_starts_and_is_no_students_and_nothing_of_it_is_left(opened: Class) -> None:
    hubs, hub = opened.site.drivers.hubs, opened.order.hub
    before, roster = await hubs.observe(hub), await hubs.roster(hub)
    assert await opened.tried() == Tried()
    assert opened.pids(), "it runs until it is dismissed"
    view = await hubs.observe(hub)
    assert (view.servers, view.used, view.outdated_servers) == (before.servers, before.used, 0)
    assert await hubs.roster(hub) == roster
    tree = opened.site.settings.homes_dir / hub
    assert [home.name for home in tree.iterdir() if home.is_dir()] == [], "nothing that would be copied"
    await opened.testers.dismiss(hub)
    assert opened.pids() == set()
    assert await opened.testers.left() == ()
    assert not list(opened.site.settings.homes_dir.glob(".tester-*"))
    file = local_hubs(hubs).file(hub)
    assert file is not None
    url = f"http://127.0.0.1:{file.ports.hub}/hub/api/users/{TESTER}"
    headers = {"Authorization": f"token {file.secrets.api_token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND


async def test_nobody_can_sign_in_as_the_tester_not_even_where_anybody_may_come(opened: Class) -> None:
    for name in (TESTER, TESTER.upper()):
        async with Student(f"http://{opened.edge}", HOST, name) as student:
            assert await student.sign_in(PASSWORD) == HTTPStatus.FORBIDDEN
    token = await opened.testers.admit(opened.order.hub, 60.0)
    async with Student(f"http://{opened.edge}", HOST, TESTER) as student:
        assert await student.sign_in(PASSWORD) == HTTPStatus.FORBIDDEN, "while it exists, neither"
    async with Student(f"http://{opened.edge}", HOST, "stranger") as student:
        assert await student.sign_in(PASSWORD) == HTTPStatus.OK
    assert token


async def test_the_ticket_is_good_for_the_testers_own_server_and_for_nothing_else(opened: Class) -> None:
    token = await opened.testers.admit(opened.order.hub, 60.0)
    headers = {"Host": HOST, "Authorization": f"token {token}"}
    api = f"http://{opened.edge}/hub/api"
    async with aiohttp.ClientSession(headers=headers) as session:
        for method, path in (
            ("GET", "users"),
            ("GET", "users/ada"),
            ("POST", "users/ada/server"),
            ("POST", f"users/{TESTER}/tokens"),
            ("DELETE", f"users/{TESTER}"),
            ("PATCH", f"users/{TESTER}"),
            ("GET", "proxy"),
            ("POST", "shutdown"),
        ):
            async with session.request(method, f"{api}/{path}", json={}) as answer:
                assert answer.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND), (method, path)
    await opened.testers.dismiss(opened.order.hub)
    ended = await HttpProber().server(opened.edge, HOST, Ticket(TESTER, token, 5.0))
    assert not ended.problem
    assert "the hub answered 40" in ended.untested


async def test_a_spawner_that_is_broken_is_told_from_a_hub_that_is_not_reached(opened: Class) -> None:
    assert await opened.tried() == Tried(), "all is well, and who runs as whom is written down by now"
    await opened.testers.dismiss(opened.order.hub)
    uids, tree = opened.site.settings.uids_file, opened.site.settings.homes_dir
    isolated = os.getuid() == 0 and uids.exists()
    kept = uids.read_bytes() if isolated else b""
    token = await opened.testers.admit(opened.order.hub, 120.0)
    if isolated:
        uids.write_text("damaged")
    else:
        (tree / f".tester-{opened.order.hub}").chmod(0o000)
    try:
        assert await HttpProber().login_page(opened.edge, HOST) == ""
        tried = await HttpProber().server(opened.edge, HOST, Ticket(TESTER, token, 30.0))
    finally:
        if isolated:
            uids.write_bytes(kept)
        await opened.testers.dismiss(opened.order.hub)
    assert tried.problem
    assert not tried.untested
    assert await opened.tried() == Tried(), "it was mended"
    await opened.testers.dismiss(opened.order.hub)
    nobody = await HttpProber().server("127.0.0.1:1", HOST, Ticket(TESTER, token, 5.0))
    assert "not reached" in nobody.untested
