"""Looks at a hub as a student's browser would: through the edge, by host name. A port: simulations have their own."""

from __future__ import annotations

from typing import Protocol

import aiohttp

from federation.runtime.http_look import look_session

TIMEOUT_S = 5.0
MOST_BYTES = 200_000


class Prober(Protocol):
    """Outside looks of the leader."""

    async def login_page(self, edge_address: str, host: str) -> str:
        """Fetch the login page; returns the problem, empty if a JupyterHub's login page came back."""
        ...

    async def answers(self, edge_address: str) -> bool:
        """Whether an edge answers at all, whatever it says."""
        ...


class HttpProber:
    """Over HTTP with aiohttp."""

    async def login_page(self, edge_address: str, host: str) -> str:
        url = f"http://{edge_address}/hub/login"
        try:
            async with (
                look_session(TIMEOUT_S) as client,
                client.get(url, headers={"Host": host}, allow_redirects=False) as answer,
            ):
                page = await answer.content.read(MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"{url} for {host}: {error or type(error).__name__}"
        if answer.status != 200 or b"_xsrf" not in page:  # noqa: PLR2004 - HTTP OK
            return f"{url} for {host} answered {answer.status}, not a login page"
        return ""

    async def answers(self, edge_address: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(f"http://{edge_address}/", allow_redirects=False) as answer,
            ):
                return answer.status > 0
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
