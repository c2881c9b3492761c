"""One bench for the contract of edges, with something behind the real one that answers as a hub would."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import WSMsgType, web

from agents.drivers.base import Capacity
from agents.drivers.edge_local import LocalEdge
from agents.drivers.edge_table import EdgeVisitor
from agents.drivers.edges import EdgeDriver, Route
from agents.drivers.local.marks import EDGE
from agents.drivers.memory import MemorySite
from agents.lease_desk import LeaseDesk, open_desk
from federation.model.identity import Epoch
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.identity_uri import agent_host
from federation.runtime.node import ProxyInstall, ensure_proxy
from federation.runtime.once import once
from tests.support.certificates import Certificates
from tests.support.hub_bench import local_site_or_skip
from tests.support.local_site import E1, GIB, LocalSite, order, until

HUB = order().hub
HOST = "atm101.localhost"


class EdgeBench(Protocol):
    """What a test of the contract may do around an edge."""

    @property
    def edge(self) -> EdgeDriver: ...

    def route(self, epoch: Epoch = E1) -> Route:
        """To a hub that answers."""
        ...

    def write_lease(self, content: bytes | None) -> None:
        """Replace the lease file; None removes it."""
        ...

    async def kill(self) -> None:
        """SIGKILL of the edge."""
        ...


class MemoryEdgeBench:
    def __init__(self) -> None:
        self._lease: bytes | None = None
        capacity = Capacity(30_000, 60 * GIB)
        self.site = MemorySite("iu", SystemClock(), capacity, lease=lambda: self._lease, start_delay_s=0.0)
        self.edge = self.site.drivers().edge

    def route(self, epoch: Epoch = E1) -> Route:
        return Route(HUB, epoch, (HOST,), f"{HUB}.memory:80")

    def write_lease(self, content: bytes | None) -> None:
        self._lease = content

    async def kill(self) -> None:
        self.site.kill_edge()


class LocalEdgeBench:
    def __init__(self, site: LocalSite, target: str, edge: EdgeDriver) -> None:
        self.site = site
        self.edge = edge
        self._target = target

    def route(self, epoch: Epoch = E1) -> Route:
        return Route(HUB, epoch, (HOST,), self._target)

    def write_lease(self, content: bytes | None) -> None:
        if content is None:
            self.site.settings.lease_file.unlink(missing_ok=True)
        else:
            self.site.write_lease(content)

    async def kill(self) -> None:
        for found in self.site.processes.find(self.site.settings.marks(ROLE=EDGE)):
            os.kill(found.pid, signal.SIGKILL)
            while self.site.processes.alive(found.id):
                await self.site.clock.sleep(0.01)


@dataclass(slots=True)
class AskedEdge(LocalEdge):
    """One that asks an agent's desk, as on another host."""

    url: str = ""
    ca: Path = Path()
    name: str = ""

    def words(self, install: ProxyInstall, address: str) -> tuple[str, ...]:
        return install.asking_edge(address, self.url, self.ca, self.name)

    async def is_open(self, hub: str) -> bool:
        """After it has asked once more."""
        await asked_once_more(self.visitor, self._address(self._known_port() or 1))
        return await LocalEdge.is_open(self, hub)


async def asked_once_more(visitor: EdgeVisitor, address: str) -> None:
    """Wait until an edge that asks an agent has done so, and was answered or not; at once if there is no edge."""

    async def asks() -> int | None:
        about = await visitor.about(address)
        return int(about["asks"]) if about is not None else None

    before = await asks()
    if before is None:
        return

    async def again() -> bool:
        now = await asks()
        return now is None or now < before or now >= before + 2  # another edge, or: one may have been under way

    await until(again, "the edge has asked the agent", 10)


@asynccontextmanager
async def asked_edge(site: LocalSite) -> AsyncIterator[AskedEdge]:
    """It asks the desk of this site's lease file."""
    tls = Certificates(site.root).agent("iu", "u1")
    routes = site.settings.edge_table
    desk = LeaseDesk(site.settings.lease_file, LocalDisk(), site.clock, lambda: LocalDisk().read(routes))
    async with open_desk(desk, "127.0.0.1", 0, tls) as port:
        url, name = f"https://127.0.0.1:{port}/lease", agent_host("iu", "u1")
        install = once(lambda: ensure_proxy(site.processes, site.clock))
        edge = AskedEdge(site.settings, site.processes, site.clock, LocalDisk(), install, url=url, ca=tls.ca, name=name)
        try:
            yield edge
        finally:
            await edge.close()


@asynccontextmanager
async def edge_bench(kind: str) -> AsyncIterator[EdgeBench]:
    """`memory`, `local`, or `asked`: an edge on another host than the agent's."""
    if kind == "memory":
        bench = MemoryEdgeBench()
        await bench.site.drivers().hubs.start(order())
        yield bench
        return
    async with local_site_or_skip() as site, answering() as target:
        if kind == "local":
            yield LocalEdgeBench(site, target, site.drivers.edge)
        else:
            async with asked_edge(site) as edge:
                yield LocalEdgeBench(site, target, edge)


@asynccontextmanager
async def answering() -> AsyncIterator[str]:
    """A server that looks like a hub to the edge: health, an echo over a web socket, an answer that never ends."""
    app = web.Application()
    app.router.add_get("/hub/health", _health)
    app.router.add_get("/echo", _echo)
    app.router.add_get("/endless", _endless)
    app.router.add_get("/who", _who)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="fine")


async def _who(request: web.Request) -> web.Response:
    return web.json_response({"host": request.host, "for": request.headers.get("X-Forwarded-For", "")})


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
    return socket


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    clock = SystemClock()
    while True:
        await answer.write(b"more\n")
        await clock.sleep(0.05)
