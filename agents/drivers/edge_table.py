"""What every kind of edge has in common on the agent's side: its table, and questions from outside."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from agents.drivers.edges import Departed, Passage, Route
from federation.runtime.disk import Disk

LIMIT_S = 2.0
CONNECT_S = 0.5
TRIES = 3
GATE_HEADER = "X-Hubfed-Gate"
REFUSALS = ("closed", "departed")


@dataclass(slots=True)
class EdgeTable:
    """Host names -> hubs, as a file of the agent's host: edges there read it, others are told of it by the agent's desk. So
    an agent that was started again has it at once."""

    path: Path
    disk: Disk
    _published: bytes = b""
    _hosts: dict[str, str] = field(default_factory=dict)

    def publish(self, routes: tuple[Route, ...], departed: tuple[Departed, ...], unseen: frozenset[str]) -> None:
        """Replace it whole, but for hubs that are `unseen`; nothing is written where nothing changed."""
        table = self._before(unseen)  # of two hubs with the same name the newer one counts: the last one
        table += [
            {"hub": r.hub, "epoch": [r.epoch.era, r.epoch.n], "hosts": list(r.hosts), "target": r.target}
            for r in routes
        ]
        left = [{"hub": d.hub, "hosts": list(d.hosts)} for d in departed]
        content = json.dumps({"routes": table, "departed": left}).encode()
        self._hosts = {str(r["hub"]): r["hosts"][0] for r in table if r["hosts"]}
        if content != self._published or self.disk.read(self.path) != content:
            self.disk.replace(self.path, content, durable=False)
            self._published = content

    def _before(self, hubs: frozenset[str]) -> list[dict[str, Any]]:
        """Their routes as an earlier publication has them."""
        content = self.disk.read(self.path) if hubs else None
        try:
            return [r for r in json.loads(content or b"{}").get("routes", ()) if r["hub"] in hubs]
        except (ValueError, KeyError, TypeError, AttributeError):
            return []

    def host(self, hub: str) -> str | None:
        """A name that leads to the hub; None if it has no route."""
        return self._hosts.get(hub)


@dataclass(slots=True)
class EdgeVisitor:
    """Asks an edge as any browser would.

    Where nobody lets it connect it asks again from another port: for two minutes after the edge's pod was replaced, the
    node's table of connections may still lead a port that was used before to the pod that is gone."""

    _session: aiohttp.ClientSession | None = None

    async def ask(self, address: str, host: str) -> Passage:
        """One request for a host name."""
        try:
            async with await self._get(f"http://{address}/hub/health", host) as answer:
                said = answer.headers.get(GATE_HEADER)
        except (aiohttp.ClientError, TimeoutError):
            return Passage.SILENT
        if said is None:  # whatever the hub says: somebody was let through
            return Passage.PASSED
        return Passage.REFUSED if said in REFUSALS else Passage.SILENT

    async def about(self, address: str) -> dict[str, Any] | None:
        """What the edge says of itself; None if none of ours is there."""
        try:
            async with await self._get(f"http://{address}/.hubfed/proxy") as answer:
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        return body if isinstance(body, dict) else None

    async def close(self) -> None:
        """Give its connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _get(self, url: str, host: str = "") -> aiohttp.ClientResponse:
        headers = {"Host": host} if host else {}
        async with asyncio.timeout(LIMIT_S):
            for left in reversed(range(TRIES)):
                try:
                    return await self._open().get(url, headers=headers, allow_redirects=False)
                except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                    if not left:
                        raise
        raise AssertionError  # each try returns or raises

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # a connection is never reused: the edge may have been replaced by another process in between
            connector = aiohttp.TCPConnector(force_close=True)
            limits = aiohttp.ClientTimeout(total=LIMIT_S, sock_connect=CONNECT_S)
            self._session = aiohttp.ClientSession(connector=connector, timeout=limits)
        return self._session
