"""An edge on another host than the agent's, and answers that are late, wrong, of somebody else, or do not come.

What any edge promises is in the contract suite, which runs on this one too.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from agents.drivers.edges import Passage
from agents.lease_desk import permitted
from federation.core.lease_file import read_lease
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.identity_uri import agent_host
from federation.runtime.node import ensure_proxy
from federation.runtime.once import once
from federation.runtime.tls import TlsFiles
from tests.support.certificates import Certificates
from tests.support.edge_bench import HOST, HUB, AskedEdge, answering
from tests.support.hub_bench import local_site_or_skip
from tests.support.local_site import E1, lease, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
S = 10**9
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Desk:
    """Somebody at the agent's address; `says` is what is answered next, and `delay_s` how late."""

    target: str
    certificates: Certificates
    boot: str = "boot-1"
    order: list[int] | None = field(default_factory=lambda: [1, 1])
    close_in: int | None = None
    delay_s: float = 0.0
    instead: Answering | None = None
    port: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = self.body()
        await asyncio.sleep(self.delay_s)
        return web.json_response(body) if self.instead is None else await self.instead(request)

    def body(self) -> dict[str, Any]:
        entry = {"epoch": [E1.era, E1.n], "close_in": self.close_in}
        route = {"hub": HUB, "epoch": [E1.era, E1.n], "hosts": [HOST], "target": self.target}
        return {"boot_id": self.boot, "order": self.order, "hubs": {HUB: entry}, "table": {"routes": [route]}}

    @asynccontextmanager
    async def open(self, tls: TlsFiles | None = None) -> AsyncIterator[None]:
        """At the same port each time."""
        shown = tls or self.certificates.agent("iu", "u1")
        app = web.Application()
        app.router.add_get("/lease", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(shown.cert, shown.key)
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context, reuse_address=True).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


@dataclass
class Bench:
    desk: Desk
    edge: AskedEdge

    async def passes(self) -> bool:
        return await self.edge.ask(HOST) is Passage.PASSED

    async def opens(self) -> None:
        await until(self.passes, "it is open", 10)

    async def closes(self, limit_s: float = 10) -> None:
        async def refused() -> bool:
            return not await self.passes()

        await until(refused, "it is closed", limit_s)

    async def asked_again(self) -> None:
        await self.edge.is_open(HUB)


@pytest_asyncio.fixture(loop_scope="module")
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An edge that was just started; nobody has answered it."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(local_site_or_skip())
        desk = Desk(await stack.enter_async_context(answering()), Certificates(tmp_path))
        async with desk.open():
            pass  # now its port is known
        tls = desk.certificates.agent("iu", "u1")
        install = once(lambda: ensure_proxy(site.processes, site.clock))
        url, name = f"https://127.0.0.1:{desk.port}/lease", agent_host("iu", "u1")
        edge = AskedEdge(site.settings, site.processes, site.clock, LocalDisk(), install, url=url, ca=tls.ca, name=name)
        await edge.ensure()
        yield Bench(desk, edge)
        await edge.close()


async def test_without_an_answer_nothing_is_open_and_a_restart_forgets_what_was(bench: Bench) -> None:
    await bench.asked_again()
    assert not await bench.passes()
    async with bench.desk.open():
        await bench.opens()
    await bench.edge.stop()
    await bench.edge.ensure()
    await bench.asked_again()
    assert not await bench.passes()


async def test_when_the_agent_falls_silent_an_armed_hub_closes_by_itself_and_a_standing_one_does_not(
    bench: Bench,
) -> None:
    async with bench.desk.open():
        await bench.opens()
    await bench.asked_again()
    assert await bench.passes(), "a standing hub has no deadline"
    bench.desk.close_in, bench.desk.order = 2 * S, [1, 2]
    began = time.monotonic()
    async with bench.desk.open():
        await bench.asked_again()
        assert await bench.passes()
    left = time.monotonic()
    await bench.closes()
    assert time.monotonic() - left < 2.2, "counted from its last question"
    assert time.monotonic() - began > 1.5


async def test_what_is_left_counts_from_the_question_and_not_from_the_answer(bench: Bench) -> None:
    """The answer is a second on its way: of two seconds one is over when it comes, and of half a second all."""
    bench.desk.close_in, bench.desk.delay_s = 2 * S, 1.0
    async with bench.desk.open():
        await bench.opens()
    await bench.closes(1.6)
    bench.desk.close_in = S // 2
    async with bench.desk.open():
        await bench.asked_again()
        assert not await bench.passes()


async def test_an_answer_that_comes_too_late_is_none(bench: Bench) -> None:
    bench.desk.delay_s = 2.5
    async with bench.desk.open():
        await bench.asked_again()
        assert not await bench.passes()


async def test_whoever_has_another_name_or_authority_opens_nothing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    impostors = [bench.desk.certificates.agent("tacc", "u2"), Certificates(tmp_path / "others").agent("iu", "u1")]
    for impostor in impostors:
        async with bench.desk.open(impostor):
            await bench.asked_again()
            assert not await bench.passes()
    async with bench.desk.open():
        await bench.opens()


async def test_after_a_boot_of_the_agents_host_everything_needs_a_new_grant(bench: Bench) -> None:
    bench.desk.order = [7, 70]
    async with bench.desk.open():
        await bench.opens()
        bench.desk.boot, bench.desk.order, empty = "boot-2", None, bench.desk.body()
        empty["boot_id"], empty["order"], empty["hubs"] = "boot-2", None, {}
        bench.desk.instead = lambda _request: _json(empty)
        await bench.closes()
        bench.desk.instead, bench.desk.order = None, [1, 1]
        await bench.opens()


async def test_an_older_answer_of_the_same_boot_changes_nothing(bench: Bench) -> None:
    """An agent that was replaced, and answers from what it had."""
    bench.desk.order, empty = [2, 5], bench.desk.body() | {"order": [2, 5], "hubs": {}}
    bench.desk.instead = lambda _request: _json(empty)
    async with bench.desk.open():
        await bench.asked_again()
        bench.desk.instead, bench.desk.order = None, [1, 900]
        await bench.asked_again()
        assert not await bench.passes()
        bench.desk.order = [2, 6]
        await bench.opens()


NO_ANSWERS = [
    *(b"", b"{", b"null", b"[]", b"{}", b'{"boot_id": 1}', b"\xff\xfe"),
    b'{"boot_id": "boot-1", "order": "x", "hubs": {}, "table": {"routes": []}}',
    b'{"boot_id": "boot-1", "order": [2, 1], "hubs": {"h": {"epoch": [1], "close_in": 5}}, "table": {"routes": []}}',
    b'{"boot_id": "boot-1", "order": [2, 1], "hubs": {"h": {"epoch": [1, 1]}}, "table": {"routes": []}}',
    b'{"boot_id": "boot-1", "order": [2, 1], "hubs": {"h": {"epoch": [1, 1], "close_in": -1}}, "table": {}}',
    b'{"boot_id": "boot-1", "order": [2, 1], "hubs": {}}',
]


async def test_what_is_no_answer_changes_nothing_and_is_asked_again(bench: Bench) -> None:
    async with bench.desk.open():
        await bench.opens()
        for said in NO_ANSWERS:
            bench.desk.instead = lambda _request, said=said: _bytes(said)
            await bench.asked_again()
            assert await bench.passes(), said
        bench.desk.instead, bench.desk.order, bench.desk.close_in = None, [3, 1], 0
        await bench.closes()


async def test_errors_and_answers_without_an_end_change_nothing_and_are_asked_again(bench: Bench) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(b" " * 1000)
            await asyncio.sleep(0.01)

    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with bench.desk.open():
        await bench.opens()
        for instead in (endless, broken):
            bench.desk.instead = instead
            await bench.asked_again()
            assert await bench.passes()
        bench.desk.instead, bench.desk.close_in, bench.desk.order = None, 0, [1, 2]
        await bench.closes()


async def test_the_agent_answers_what_is_left_and_nothing_of_another_boot() -> None:
    clock = SystemClock()
    now = clock.boottime_ns()
    file = read_lease(
        lease({"armed-aaaaaa": (E1, now + 5 * S), "standing-bbbbbb": (E1, None), "over-cccccc": (E1, now - 1)}, seq=4)
    )
    said = permitted(file, clock.boot_id(), now + S)
    assert said["order"] == [1, 4]
    assert {hub: entry["close_in"] for hub, entry in said["hubs"].items()} == {
        "armed-aaaaaa": 4 * S, "standing-bbbbbb": None, "over-cccccc": 0,
    }  # fmt: skip
    assert said["hubs"]["standing-bbbbbb"]["stop_in"] is None
    nothing: dict[str, Any] = {"boot_id": "another", "order": None, "hubs": {}}
    assert permitted(file, "another", now) == nothing
    assert permitted(None, "another", now) == nothing


async def _json(body: dict[str, Any]) -> web.Response:
    return web.Response(text=json.dumps(body))


async def _bytes(said: bytes) -> web.Response:
    return web.Response(body=said)
