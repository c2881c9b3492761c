"""Starts one test server as a student would: through the edge, the hub's proxy, the hub and its spawner, and asks it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from federation.runtime.http_look import look_session

LOOK_S = 0.5
CALL_S = 30.0  # the hub itself waits ten seconds for a server before it says that it takes longer
SLACK_S = 20.0  # the hub gives a start up by itself, and says why in its log
OK, CREATED, ACCEPTED, BROKEN = 200, 201, 202, 500
NO_MATTER_OF_SERVERS = (401, 403, 404)  # the ticket has ended, or the hub has forgotten who comes
MOST_BYTES, MOST_SHOWN = 65_536, 160  # of an answer: who gives it may be anybody


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the class's site gave for one test. `limit_s`: within which a server of the class has to answer."""

    user: str
    token: str = field(repr=False)
    limit_s: float


@dataclass(frozen=True, slots=True)
class Tried:
    """One test. `problem`: why the server did not start or does not answer; empty: it did. `untested`: why that says
    nothing of servers; then there is no problem."""

    problem: str = ""
    untested: str = ""


class Server:
    """The test user's server in the hub `host` behind an edge. `tls`: of aiohttp's calls; empty: by http."""

    def __init__(self, url: str, host: str, ticket: Ticket, tls: dict[str, Any]) -> None:
        self._url, self._ticket, self._tls = url, ticket, tls
        plain = {"Accept-Encoding": "identity"}  # a few bytes must not become many
        self._headers = {"Host": host, "Authorization": f"token {ticket.token}", **plain}
        self._api = f"/hub/api/users/{ticket.user}"

    async def tried(self) -> Tried:
        """Start it and wait for it. Whoever gave the ticket removes it."""
        limit_s = self._ticket.limit_s + SLACK_S
        try:
            async with asyncio.timeout(limit_s) as deadline, look_session(CALL_S) as client:
                return await self._begin(client) or await self._await_start(client) or await self._await_page(client)
        except TimeoutError:
            if deadline.expired():
                return Tried(f"it did not answer within {limit_s:.0f} s")
            return Tried(untested=f"the hub did not answer within {CALL_S:.0f} s")
        except (aiohttp.ClientError, OSError) as error:
            return Tried(untested=f"the hub was not reached: {error or type(error).__name__}")

    async def _begin(self, client: aiohttp.ClientSession) -> Tried | None:
        status, text = await self._call(client, "POST", f"{self._api}/server")
        if status in (CREATED, ACCEPTED):
            return None
        if status == BROKEN:
            return Tried(f"the hub answered {status}: {text}")
        return Tried(untested=f"the hub answered {status}: {text}")  # full, draining, closed, or the ticket has ended

    async def _await_start(self, client: aiohttp.ClientSession) -> Tried | None:
        while True:
            status, body = await self._bytes(client, "GET", self._api)
            if status != OK:
                return Tried(untested=f"the hub answered {status} when it was asked for its user")
            try:
                server = json.loads(body)["servers"].get("")
                ready = server is not None and server["ready"]
            except (ValueError, KeyError, TypeError, AttributeError):
                return Tried(untested="what answered for its user is no JupyterHub")
            if server is None:
                return Tried("the hub gave its start up; the hub's log says why")
            if ready:
                return None
            await asyncio.sleep(LOOK_S)

    async def _await_page(self, client: aiohttp.ClientSession) -> Tried:
        """The server itself, which asks the hub who comes: 200 means that both work."""
        while True:
            try:
                status, text = await self._call(client, "GET", f"/user/{self._ticket.user}/api/status")
            except TimeoutError:
                continue  # it hangs: until the limit is over
            if status == OK:
                return Tried()
            if status in NO_MATTER_OF_SERVERS:
                return Tried(untested=f"its page answered {status}: {text}")
            if status < BROKEN:
                return Tried(f"its page answered {status}: {text}")
            await asyncio.sleep(LOOK_S)

    async def _call(self, client: aiohttp.ClientSession, method: str, path: str) -> tuple[int, str]:
        status, body = await self._bytes(client, method, path)
        words = " ".join(body.decode(errors="replace").split())[:MOST_SHOWN]
        return status, "".join(letter if letter.isprintable() else "?" for letter in words)

    async def _bytes(self, client: aiohttp.ClientSession, method: str, path: str) -> tuple[int, bytes]:
        """What comes back, up to a limit; nobody is followed elsewhere, with a token least of all."""
        call = client.request(method, self._url + path, headers=self._headers, allow_redirects=False, **self._tls)
        async with call as answer:
            body = b""
            while len(body) < MOST_BYTES and (more := await answer.content.read(MOST_BYTES - len(body))):
                body += more
            return answer.status, body
