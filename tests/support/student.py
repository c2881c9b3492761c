"""A student with a browser: signs in through the form, starts the server, saves and reads files, opens a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from tests.support.local_site import until


class Student:
    """`base` is where the connection goes, `host` the name that was typed."""

    def __init__(self, base: str, host: str, name: str) -> None:
        self.base = URL(base)
        self.name = name
        jar = aiohttp.CookieJar(unsafe=True)
        limit = aiohttp.ClientTimeout(total=30)
        self.session = aiohttp.ClientSession(headers={"Host": host}, cookie_jar=jar, timeout=limit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def sign_in(self, password: str) -> int:
        """The status of the answer to the form: 200 after all redirects, 403 if refused."""
        async with self.session.get(self.base / "hub/login") as page:
            text = await page.text()
        found = re.search(r'name="_xsrf" value="([^"]+)"', text)
        assert found, text[:500]
        form = {"username": self.name, "password": password, "_xsrf": found[1]}
        async with self.session.post((self.base / "hub/login").with_query(next="/hub/home"), data=form) as answer:
            await answer.read()
            return answer.status

    async def start_server(self, limit_s: float = 60.0) -> None:
        """As by clicking on "Start my server"; returns when the server's page is there."""
        async with self.session.get(self.base / "hub/spawn" / self.name) as page:
            assert page.status < 400, (page.status, (await page.text())[-2000:])

        async def there() -> bool:
            async with self.session.get(self.base / "user" / self.name / "lab") as page:
                return page.status == 200 and page.url.path.startswith("/user/")  # not the hub's "is starting"

        await until(there, f"the server of {self.name} answers", limit_s)

    async def stop_server(self) -> None:
        """As by clicking on "Stop my server"."""
        url = self.base / "hub/api/users" / self.name / "server"
        async with self.session.delete(url, headers=self._xsrf("/hub/")) as answer:
            assert answer.status in (202, 204), await answer.text()

        async def gone() -> bool:
            async with self.session.get(self.base / "hub/api/users" / self.name, headers=self._xsrf("/hub/")) as user:
                return not (await user.json()).get("servers")

        await until(gone, f"the server of {self.name} has stopped")

    async def status(self, path: str) -> int:
        """The status of a page after redirects, 0 if the connection breaks."""
        try:
            async with self.session.get(self.base / path) as page:
                await page.read()
                return page.status
        except aiohttp.ClientError:
            return 0

    async def save(self, path: str, text: str) -> None:
        """Through the Jupyter contents API."""
        body = {"type": "file", "format": "text", "content": text}
        async with self.session.put(self._contents(path), json=body, headers=self._xsrf_of_server()) as answer:
            assert answer.status in (200, 201), await answer.text()

    async def read(self, path: str) -> str:
        """Through the Jupyter contents API."""
        async with self.session.get(self._contents(path)) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["content"])

    async def start_kernel(self) -> str:
        """The id of a new kernel."""
        url = self.base / "user" / self.name / "api/kernels"
        async with self.session.post(url, json={"name": "python3"}, headers=self._xsrf_of_server()) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["id"])

    @asynccontextmanager
    async def terminal(self) -> AsyncIterator[Terminal]:
        """A shell in the student's server, over a web socket."""
        url = self.base / "user" / self.name / "api/terminals"
        async with self.session.post(url, headers=self._xsrf_of_server()) as answer:
            assert answer.status == 200, await answer.text()
            name = (await answer.json())["name"]
        socket = self.base / "user" / self.name / "terminals/websocket" / name
        async with self.session.ws_connect(socket) as shell:
            yield Terminal(shell)

    def _contents(self, path: str) -> URL:
        return self.base / "user" / self.name / "api/contents" / path

    def _xsrf_of_server(self) -> dict[str, str]:
        return self._xsrf(f"/user/{self.name}/")

    def _xsrf(self, path: str) -> dict[str, str]:
        cookie = self.session.cookie_jar.filter_cookies(self.base.with_path(path)).get("_xsrf")
        return {"X-XSRFToken": cookie.value} if cookie else {}


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
