"""What calls a test server, in front of whoever answers: nothing costs memory, leads elsewhere or is believed."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from federation.coordinator.probe import HttpProber
from federation.coordinator.server_probe import MOST_SHOWN, Ticket, Tried

HOST, USER = "atm101.hubs.test", "hubfed-tester"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
READY = {"name": USER, "servers": {"": {"ready": True}}}


@asynccontextmanager
async def edge(user: Answer, page: Answer, begin: int = 201) -> AsyncIterator[str]:
    """Of a hub that takes every order."""

    async def started(_request: web.Request) -> web.Response:
        return web.Response(status=begin)

    app = web.Application()
    app.router.add_post(f"/hub/api/users/{USER}/server", started)
    app.router.add_get(f"/hub/api/users/{USER}", user)
    app.router.add_get(f"/user/{USER}/api/status", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def says(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    return answer


async def tried(user: Answer, page: Answer | None = None, begin: int = 201) -> Tried:
    async with edge(user, page or says(b"{}"), begin) as address:
        return await HttpProber().server(address, HOST, Ticket(USER, "secret", 1.0))


async def test_a_server_that_answers_is_no_miss() -> None:
    assert await tried(says(json.dumps(READY).encode())) == Tried()


async def test_a_start_that_the_hub_gave_up_is_a_miss() -> None:
    assert "gave its start up" in (await tried(says(b'{"servers": {}}'))).problem


BOMB = gzip.compress(b" " * 50_000_000)


@pytest.mark.parametrize(
    "user",
    [
        says(b"<html>no JSON"),
        says(b"[]"),
        says(b'{"servers": 7}'),
        says(b'{"servers": {"": {}}}'),
        says(BOMB, headers={"Content-Encoding": "gzip"}),
        says(b" " * 5_000_000),
        says(b"", status=302, headers={"Location": "/hub/api/elsewhere"}),
    ],
)
async def test_what_is_no_answer_of_a_hub_says_nothing_of_its_servers(user: Answer) -> None:
    found = await tried(user)
    assert found.problem == ""
    assert found.untested


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_page_that_does_not_know_who_comes_says_nothing_of_servers(status: int) -> None:
    found = await tried(says(json.dumps(READY).encode()), says(b"who?", status=status))
    assert found.problem == ""
    assert str(status) in found.untested


async def test_what_is_shown_to_a_person_is_short_and_printable() -> None:
    found = await tried(says(b""), begin=500)
    assert found.problem
    evil = await tried(says(json.dumps(READY).encode()), says(b"\x1b[2J\x1b[Hall is well " * 100, status=418))
    assert evil.problem.isprintable()
    assert len(evil.problem) < MOST_SHOWN + 40
