"""What users see at the edge and at the front door: pages, passages that end when a class closes, names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from agents.drivers.edge_local import LocalEdge
from agents.drivers.edge_table import EdgeVisitor
from agents.drivers.edges import Departed, Passage
from agents.drivers.local.ports import free_ports
from federation.runtime.node import ensure_proxy
from federation.runtime.processes import Launch, inherited
from tests.support.edge_bench import HOST, HUB, LocalEdgeBench, edge_bench
from tests.support.local_site import E1, lease, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
sequence = count(1)
ALIAS = "weather.localhost"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[LocalEdgeBench]:
    async with edge_bench("local") as made:
        assert isinstance(made, LocalEdgeBench)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def browser(bench: LocalEdgeBench) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser at the edge; the class is open."""
    address = await bench.edge.ensure()
    await bench.edge.publish((bench.route(),))
    grant(bench, True)
    async with browse(address) as session:
        yield session


@asynccontextmanager
async def browse(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    limit = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(f"http://{address}", headers={"Host": HOST}, timeout=limit) as session:
        yield session


def grant(bench: LocalEdgeBench, given: bool) -> None:
    bench.write_lease(lease({HUB: (E1, None)} if given else {}, seq=next(sequence)))


async def test_an_unknown_name_is_a_page_of_404(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/", headers={"Host": "other.localhost"}) as page:
        assert page.status == 404
        assert "No class of this name" in await page.text()


async def test_a_closed_class_is_a_page_of_503_that_tries_again(
    bench: LocalEdgeBench, browser: aiohttp.ClientSession
) -> None:
    grant(bench, False)
    async with browser.get("/hub/login") as page:
        assert page.status == 503
        assert "not open at this site" in await page.text()
        assert page.headers["Refresh"] == "5"


async def test_a_class_that_runs_at_another_site_is_a_page_that_says_so_and_lets_go_of_the_connection(
    bench: LocalEdgeBench, browser: aiohttp.ClientSession
) -> None:
    await bench.edge.publish((), (Departed(HUB, (HOST, ALIAS)),))
    for host in (HOST, ALIAS):
        async with browser.get("/user/s01/lab", headers={"Host": host}) as page:
            assert page.status == 503
            assert "runs at another site now" in await page.text()
            assert (page.headers["Retry-After"], page.headers["Refresh"]) == ("15", "15")
            assert page.headers["Connection"] == "close"
            assert page.headers["Cache-Control"] == "no-store"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect("/echo")
    assert refused.value.status == 503


async def test_a_class_that_came_back_is_served_whatever_was_said_of_it(
    bench: LocalEdgeBench, browser: aiohttp.ClientSession
) -> None:
    await bench.edge.publish((bench.route(),), (Departed(HUB, (HOST, ALIAS)),))
    async with browser.get("/hub/health") as page:
        assert page.status == 200


async def test_a_hub_that_does_not_answer_is_a_page_of_502(
    bench: LocalEdgeBench, browser: aiohttp.ClientSession
) -> None:
    (dead,) = free_ports(1)
    route = bench.route()
    await bench.edge.publish((type(route)(route.hub, route.epoch, route.hosts, f"127.0.0.1:{dead}"),))

    async def shown() -> bool:
        async with browser.get("/") as page:
            return page.status == 502 and "does not answer" in await page.text()

    await until(shown, "the page of 502", 5)


async def test_the_hub_sees_the_name_that_was_typed_and_who_asks(browser: aiohttp.ClientSession) -> None:
    async with browser.get("/who") as answer:
        seen = await answer.json()
    assert seen["host"] == HOST
    assert seen["for"].endswith("127.0.0.1")


async def test_an_edge_says_where_others_reach_it(bench: LocalEdgeBench, browser: aiohttp.ClientSession) -> None:
    edge = bench.edge
    assert isinstance(edge, LocalEdge)
    behind = replace(edge, settings=replace(edge.settings, edge_address="192.0.2.10:80"), visitor=EdgeVisitor())
    assert await behind.ensure() == "192.0.2.10:80"
    assert await behind.ask(HOST) is Passage.PASSED, "it looks where it listens"
    await behind.close()


async def test_no_admin_api_listens_at_the_edge(browser: aiohttp.ClientSession) -> None:
    async with browser.post("/api/routes/x", json={"target": "http://127.0.0.1:1"}) as answer:
        assert answer.status == 404


async def test_closing_a_class_ends_open_web_sockets(bench: LocalEdgeBench, browser: aiohttp.ClientSession) -> None:
    async with browser.ws_connect("/echo") as socket:
        await socket.send_str("still here")
        assert (await socket.receive(timeout=5)).data == "still here"
        grant(bench, False)
        message = await socket.receive(timeout=3)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect("/echo")
    assert refused.value.status == 503


async def test_closing_a_class_ends_requests_in_flight(bench: LocalEdgeBench, browser: aiohttp.ClientSession) -> None:
    async with browser.get("/endless") as answer:
        assert await answer.content.readline() == b"more\n"
        grant(bench, False)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()


async def test_a_broken_table_keeps_the_last_good_one(bench: LocalEdgeBench, browser: aiohttp.ClientSession) -> None:
    path = bench.site.settings.edge_table
    for content in (path.read_text(), '{"routes": [{"hub"'):
        path.write_text(content)
        async with browser.get("/hub/health") as answer:
            assert answer.status == 200


async def test_the_front_door_leads_by_name_to_the_edge_and_tells_where(
    bench: LocalEdgeBench, browser: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with front_door(bench, tmp_path / "names.json") as address, browse(address) as door:
        async with door.get("/hub/health") as page:
            assert page.status == 404
        target = await bench.edge.ensure()
        names = {HOST: {"hub": HUB, "epoch": [1, 1], "target": target}}
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps({"names": names}))
        fresh.rename(tmp_path / "names.json")
        async with door.get("/.hubfed/name") as answer:
            assert await answer.json() == names[HOST]
        async with door.get("/who") as answer:
            assert (await answer.json())["host"] == HOST
        async with door.ws_connect("/echo") as socket:
            await socket.send_str("through both")
            assert (await socket.receive(timeout=5)).data == "through both"
            grant(bench, False)
            assert (await socket.receive(timeout=3)).type is not aiohttp.WSMsgType.TEXT
        async with door.get("/hub/health") as page:
            assert page.status == 503


@asynccontextmanager
async def front_door(bench: LocalEdgeBench, table: Path) -> AsyncIterator[str]:
    """A front door that reads `table`."""
    site = bench.site
    address = f"127.0.0.1:{free_ports(1)[0]}"
    install = await ensure_proxy(site.processes, site.clock)
    marks = site.settings.marks(ROLE="frontdoor")
    words = install.launcher("frontdoor", address, table)
    site.processes.spawn(Launch(words, site.root / "frontdoor.log", env={**inherited(), **marks}))

    async def answers() -> bool:
        try:
            async with browse(address) as door, door.get("/.hubfed/proxy") as answer:
                return bool((await answer.json())["mode"] == "frontdoor")
        except aiohttp.ClientError:
            return False

    await until(answers, "the front door answers", 10)
    try:
        yield address
    finally:
        await site.processes.stop(marks, grace_s=1.0)
