"""The product's student with what only tests do: terminals, kernels, pages that may break."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from federation.runtime import student


class Student(student.Student):
    """Signs in, starts the server, saves and reads as `federation.runtime.student` does."""

    async def status(self, path: str) -> int:
        """The status of a page after redirects, 0 if the connection breaks."""
        try:
            async with self.session.get(self.base / path) as page:
                await page.read()
                return page.status
        except aiohttp.ClientError:
            return 0

    async def start_kernel(self) -> str:
        """The id of a new kernel."""
        url = self.base / "user" / self.name / "api/kernels"
        headers = self.xsrf(f"/user/{self.name}/")
        async with self.session.post(url, json={"name": "python3"}, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["id"])

    @asynccontextmanager
    async def terminal(self) -> AsyncIterator[Terminal]:
        """A shell in the student's server, over a web socket."""
        url = self.base / "user" / self.name / "api/terminals"
        async with self.session.post(url, headers=self.xsrf(f"/user/{self.name}/")) as answer:
            assert answer.status == 200, await answer.text()
            name = (await answer.json())["name"]
        socket = self.base / "user" / self.name / "terminals/websocket" / name
        async with self.session.ws_connect(socket) as shell:
            yield Terminal(shell)


class Terminal:
    """A shell. `run` types one line and returns what it printed."""

    def __init__(self, shell: aiohttp.ClientWebSocketResponse) -> None:
        self.shell = shell
        self._count = 0

    async def run(self, line: str) -> str:
        """The output of one command line."""
        self._count += 1
        end = f"end-{self._count}-of-line"
        first, rest = end[:3], end[3:]
        await self.shell.send_str(json.dumps(["stdin", f"clear; {line}; echo {first}''{rest}\r"]))
        seen = ""
        while end not in seen:
            message = await self.shell.receive(timeout=20)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            kind, *content = _parts(message.data)
            seen += content[0] if kind == "stdout" else ""
        return seen[: seen.index(end)]

    async def closed(self) -> bool:
        """Wait for the other side to end it."""
        while True:
            message = await self.shell.receive(timeout=20)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return True


def _parts(data: str) -> list[Any]:
    parts = json.loads(data)
    assert isinstance(parts, list)
    return parts
