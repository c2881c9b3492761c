"""A student with a browser: signs in through the form, starts the server, saves and reads files, stops the server.

For looks from outside and for the demo; the tests use it too. What is not as it should be is raised as Unavailable.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from federation.model.errors import Unavailable

OK, CREATED, ACCEPTED, NO_CONTENT, FIRST_ERROR = 200, 201, 202, 204, 400
LOOK_S = 0.1


class Student:
    """`base` is where the connection goes, `host` the name that was typed."""

    def __init__(self, base: str, host: str, name: str) -> None:
        self.base = URL(base)
        self.name = name
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name, too
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
        if found is None:
            raise Unavailable(f"{self.base}hub/login answered {page.status} without a form to sign in")
        form = {"username": self.name, "password": password, "_xsrf": found[1]}
        async with self.session.post((self.base / "hub/login").with_query(next="/hub/home"), data=form) as answer:
            await answer.read()
            return answer.status

    async def start_server(self, limit_s: float = 60.0) -> None:
        """As by clicking on "Start my server"; returns when the server's page is there."""
        async with self.session.get(self.base / "hub/spawn" / self.name) as page:
            if page.status >= FIRST_ERROR:
                raise Unavailable(f"the server of {self.name} does not start: {page.status}")

        async def there() -> bool:
            async with self.session.get(self.base / "user" / self.name / "lab") as page:
                return page.status == OK and page.url.path.startswith("/user/")  # not the hub's "is starting"

        await _until(there, f"the server of {self.name} answers", limit_s)

    async def stop_server(self, limit_s: float = 20.0) -> None:
        """As by clicking on "Stop my server"."""
        url = self.base / "hub/api/users" / self.name / "server"
        async with self.session.delete(url, headers=self.xsrf("/hub/")) as answer:
            await self._expect(answer, ACCEPTED, NO_CONTENT)

        async def gone() -> bool:
            async with self.session.get(self.base / "hub/api/users" / self.name, headers=self.xsrf("/hub/")) as user:
                return not (await user.json()).get("servers")

        await _until(gone, f"the server of {self.name} has stopped", limit_s)

    async def save(self, path: str, text: str) -> None:
        """A text file, through the Jupyter contents API."""
        await self._put(path, {"type": "file", "format": "text", "content": text})

    async def save_notebook(self, path: str, source: str) -> None:
        """A notebook with one code cell, through the Jupyter contents API."""
        cell: dict[str, object] = {
            "cell_type": "code",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "id": "a1",
        }
        content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        await self._put(path, {"type": "notebook", "format": "json", "content": content})

    async def read(self, path: str) -> str:
        """A text file's content, or the source of a notebook's first cell."""
        async with self.session.get(self._contents(path)) as answer:
            await self._expect(answer, OK)
            content = (await answer.json())["content"]
        return str(content if isinstance(content, str) else content["cells"][0]["source"])

    def xsrf(self, path: str) -> dict[str, str]:
        """The header that Jupyter wants with changes."""
        cookie = self.session.cookie_jar.filter_cookies(self.base.with_path(path)).get("_xsrf")
        return {"X-XSRFToken": cookie.value} if cookie else {}

    async def _put(self, path: str, body: object) -> None:
        headers = self.xsrf(f"/user/{self.name}/")
        async with self.session.put(self._contents(path), json=body, headers=headers) as answer:
            await self._expect(answer, OK, CREATED)

    def _contents(self, path: str) -> URL:
        return self.base / "user" / self.name / "api/contents" / path

    @staticmethod
    async def _expect(answer: aiohttp.ClientResponse, *statuses: int) -> None:
        if answer.status not in statuses:
            text = (await answer.text())[:300]
            raise Unavailable(f"{answer.method} {answer.url.path} answered {answer.status}: {text}")


async def _until(true: Callable[[], Awaitable[bool]], what: str, limit_s: float) -> None:
    try:
        async with asyncio.timeout(limit_s):
            while not await true():  # noqa: ASYNC110 - another process cannot set an event
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise Unavailable(f"not within {limit_s:g} s: {what}") from None
