"""What every way of calling a hook promises; run on the in-memory twin, on real programs and on a real web server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiohttp import web

from federation.coordinator.hook_calls import HookCaller, SystemHookCaller
from federation.core.hooks import Call, call_of
from federation.model.hooks import Hook
from federation.model.placing import Event
from tests.support.memory_hooks import MemoryHooks

LIMIT_S = 1.0
TELL = """import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
said = sys.stdin.read()
with open(folder / "told", "a") as file:
    file.write(said + "\\n")
while (folder / "silent").exists():
    time.sleep(0.05)
if (folder / "refuse").exists():
    sys.exit("not now")
"""


class Bench(Protocol):
    """A hook, and what can be set and seen at the other end."""

    hook: Hook

    @property
    def caller(self) -> HookCaller: ...

    def told(self) -> list[dict[str, Any]]: ...

    def refuse(self) -> None: ...

    def fall_silent(self) -> None: ...


class MemoryBench:
    def __init__(self) -> None:
        self.hooks = MemoryHooks()
        self.caller: HookCaller = self.hooks
        self.hook = Hook(name="h", url="http://memory", timeout_s=LIMIT_S)

    def told(self) -> list[dict[str, Any]]:
        return [told.said for told in self.hooks.told]

    def refuse(self) -> None:
        self.hooks.refuse["h"] = "not now"

    def fall_silent(self) -> None:
        self.hooks.silent.add("h")


class ProgramBench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.caller: HookCaller = SystemHookCaller(folder)
        self.hook = Hook(name="h", command=(sys.executable, "-c", TELL, str(folder)), timeout_s=LIMIT_S)

    def told(self) -> list[dict[str, Any]]:
        file = self.folder / "told"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def refuse(self) -> None:
        (self.folder / "refuse").touch()

    def fall_silent(self) -> None:
        (self.folder / "silent").touch()


class WebBench:
    def __init__(self, folder: Path) -> None:
        self.caller: HookCaller = SystemHookCaller(folder)
        self._told: list[dict[str, Any]] = []
        self._refused = self._silent = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[WebBench]:
        app = web.Application()
        app.router.add_post("/in", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.hook = Hook(name="h", url=f"http://{host}:{port}/in", timeout_s=LIMIT_S)
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self._told.append(await request.json())
        if self._silent:
            await asyncio.sleep(30)
        return web.Response(status=503 if self._refused else 204, text="not now" if self._refused else None)

    def told(self) -> list[dict[str, Any]]:
        return self._told

    def refuse(self) -> None:
        self._refused = True

    def fall_silent(self) -> None:
        self._silent = True


@pytest.fixture(params=["memory", "program", "web"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "web":
        async with WebBench(tmp_path).serving() as serving:
            yield serving
    else:
        yield MemoryBench() if request.param == "memory" else ProgramBench(tmp_path)


def news(message: str = "iu has not renewed its lease for 91 s") -> Call:
    at = datetime(2026, 9, 1, tzinfo=UTC)
    event = Event(
        at=at, hub="atm101-abc123", site="iu", type="failover.admitted", message=message, actor="coordinator/c1"
    )
    call = call_of("hubs", "atm101-abc123/0001-aa", event)
    assert call is not None
    return call


async def test_a_call_that_is_taken_has_no_problem_and_arrives_whole(bench: Bench) -> None:
    call = news(f'ünïcode, "quotes"\n and {"length " * 3000}')
    assert await bench.caller.call(bench.hook, call) == ""
    (told,) = bench.told()
    assert told == call.facts


async def test_a_refusal_says_what_the_other_end_said(bench: Bench) -> None:
    bench.refuse()
    assert "not now" in await bench.caller.call(bench.hook, news())


async def test_a_call_ends_at_its_deadline(bench: Bench) -> None:
    bench.fall_silent()
    began = time.monotonic()
    problem = await bench.caller.call(bench.hook, news())
    assert "1 s" in problem
    assert time.monotonic() - began < 5 * LIMIT_S


async def test_each_call_is_a_call(bench: Bench) -> None:
    for _ in range(3):
        assert await bench.caller.call(bench.hook, news()) == ""
    assert [told["id"] for told in bench.told()] == ["atm101-abc123/0001-aa"] * 3
