"""Looks at a hub as a student's browser would: through the edge, by host name. A port: simulations have their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from federation.coordinator.server_probe import Server, Ticket, Tried
from federation.core.tls_name import problem_of, warning_of
from federation.model.outlook import Fault
from federation.runtime.clock import Clock, SystemClock
from federation.runtime.http_look import look_session
from federation.runtime.tls_look import EdgeTls, shake_hands

TIMEOUT_S = 5.0
MOST_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Sight:
    """One look. `problem` empty: all is well, perhaps with a `warning`."""

    fault: Fault = Fault.NONE
    problem: str = ""
    warning: str = ""


class Prober(Protocol):
    """Looks of one coordinator."""

    async def tls_name(self, edge_address: str, host: str) -> Sight:
        """Whether the edge shows a certificate that holds for this name. Where students come by http there is none, and
        nothing is wrong."""
        ...

    async def login_page(self, edge_address: str, host: str) -> str:
        """Fetch the login page, whatever the certificate; returns the problem, empty if a JupyterHub's login page came."""
        ...

    async def server(self, edge_address: str, host: str, ticket: Ticket) -> Tried:
        """Start a test server and wait until it answers. Whoever gave the ticket removes it afterwards."""
        ...

    async def answers(self, edge_address: str, host: str) -> bool:
        """Whether an edge answers at all, whatever it says; by https with a certificate that holds for this name."""
        ...


@dataclass(frozen=True, slots=True)
class HttpProber:
    """With aiohttp. `tls` None: edges are asked by http."""

    tls: EdgeTls | None = None
    clock: Clock = field(default_factory=SystemClock)

    async def tls_name(self, edge_address: str, host: str) -> Sight:
        if self.tls is None:
            return Sight()
        try:
            seen = await shake_hands(self.tls, edge_address, host, TIMEOUT_S)
        except (OSError, TimeoutError, ValueError, OverflowError) as error:  # also an address that is none
            return Sight(Fault.PAGE, f"{edge_address} for {host}: {error or type(error).__name__}")
        problem = problem_of(seen)
        return Sight(Fault.TLS if problem else Fault.NONE, problem, warning_of(seen, self.clock.now()))

    async def login_page(self, edge_address: str, host: str) -> str:
        url = self._url(edge_address, "/hub/login")
        try:
            async with (
                look_session(TIMEOUT_S) as client,
                client.get(url, headers={"Host": host}, allow_redirects=False, **self._options(host)) as answer,
            ):
                page = await answer.content.read(MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"{url} for {host}: {error or type(error).__name__}"
        if answer.status != 200 or b"_xsrf" not in page:  # noqa: PLR2004 - HTTP OK
            return f"{url} for {host} answered {answer.status}, not a login page"
        return ""

    async def server(self, edge_address: str, host: str, ticket: Ticket) -> Tried:
        tls: dict[str, Any] = {}  # a token is sent: only to an edge that is who it says
        if self.tls is not None:
            tls = {"ssl": self.tls.verifying, "server_hostname": host}
        return await Server(self._url(edge_address, ""), host, ticket, tls).tried()

    async def answers(self, edge_address: str, host: str) -> bool:
        if (await self.tls_name(edge_address, host)).problem:
            return False
        url = self._url(edge_address, "/")
        try:
            async with (
                look_session(TIMEOUT_S) as client,
                client.get(url, headers={"Host": host}, allow_redirects=False, **self._options(host)) as answer,
            ):
                return answer.status > 0
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _url(self, edge_address: str, path: str) -> str:
        return f"{'http' if self.tls is None else 'https'}://{edge_address}{path}"

    def _options(self, host: str) -> dict[str, Any]:
        """The name goes into the handshake, as a browser's does. Certificates are `tls_name`'s matter: a takeover must not
        wait for one, and nothing secret is sent here."""
        return {} if self.tls is None else {"ssl": self.tls.blind, "server_hostname": host}
