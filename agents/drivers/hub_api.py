"""A small client of one hub's REST API and health, with a time limit on every call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import aiohttp

from agents.drivers.hub_address import HubAddress
from federation.model.errors import DriverError
from federation.model.scalars import TESTER
from federation.model.status import RosterEntry

LIMIT_S = 5.0
PAGE = 200
ACTIVE_S = 600.0


class HubApi:
    """Shared by all hubs of a site; one connection pool."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def healthy(self, hub: HubAddress, *, has_served: bool = False) -> bool:
        """Whether the hub answers through its proxy, as a user would reach it. One that has not served yet is asked
        directly first: a proxy that is asked for a hub that is still starting fills its log."""
        return (has_served or await self._is_ok(hub.direct)) and await self._is_ok(hub.proxy)

    async def _is_ok(self, address: str) -> bool:
        url = f"http://{address}/hub/health"
        try:
            async with self._open().get(url, timeout=aiohttp.ClientTimeout(total=2.0)) as answer:
                return answer.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def users(self, hub: HubAddress) -> tuple[RosterEntry, ...]:
        """Everybody the hub knows, sorted by name; without the user of test servers, which is there for a moment."""
        found: list[RosterEntry] = []
        while True:
            batch = await self._call(hub, "GET", f"users?offset={len(found)}&limit={PAGE}")
            found += [RosterEntry(name=user["name"], admin=bool(user["admin"])) for user in batch]
            if len(batch) < PAGE:
                people = (entry for entry in found if entry.name != TESTER)
                return tuple(sorted(people, key=lambda entry: entry.name))

    async def active_servers(self, hub: HubAddress, now: datetime) -> int:
        """Students' servers in which something happened within ACTIVE_S before `now`. The hub hears of a server's activity
        every five minutes, so a shorter time would call a student who works idle."""
        since = (now - timedelta(seconds=ACTIVE_S)).isoformat()
        running = await self._call(hub, "GET", f"users?state=active&limit={PAGE}")
        students = (user for user in running if user["name"] != TESTER)
        servers = (server for user in students for server in (user.get("servers") or {}).values())
        return sum(1 for server in servers if (server.get("last_activity") or since) >= since)

    async def add_users(self, hub: HubAddress, names: Iterable[str]) -> None:
        """Make them known; who is known already stays as they are."""
        if wanted := sorted(names):
            await self._call(hub, "POST", "users", {"usernames": wanted}, fine=(HTTPStatus.CONFLICT,))

    async def set_admin(self, hub: HubAddress, name: str, admin: bool) -> None:
        """Give or take the admin role."""
        await self._call(hub, "PATCH", f"users/{name}", {"admin": admin}, fine=(HTTPStatus.NOT_FOUND,))

    async def remove_user(self, hub: HubAddress, name: str) -> None:
        """End their server and sign-ins; the home stays."""
        await self._call(hub, "DELETE", f"users/{name}", fine=(HTTPStatus.NOT_FOUND,))

    async def own_server_token(self, hub: HubAddress, name: str, valid_s: float) -> str:
        """A token with which somebody starts, reaches and stops the one server of this user, for so long."""
        scopes = [f"{scope}!user={name}" for scope in ("servers", "read:users", "access:servers")]
        body = {"expires_in": int(valid_s), "note": "test server", "scopes": scopes}
        made = await self._call(hub, "POST", f"users/{name}/tokens", body)
        return str(made["token"])

    async def sync_proxy(self, hub: HubAddress) -> None:
        """Let the hub put its routes into a proxy that was started anew."""
        await self._call(hub, "POST", "proxy")

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(
        self, hub: HubAddress, method: str, path: str, body: object = None, *, fine: tuple[int, ...] = ()
    ) -> Any:
        """Straight to the hub, not through its proxy: works while the proxy is being mended."""
        url = f"http://{hub.direct}/hub/api/{path}"
        headers = {"Authorization": f"token {hub.token}"}
        limit = aiohttp.ClientTimeout(total=LIMIT_S)
        try:
            async with self._open().request(method, url, json=body, headers=headers, timeout=limit) as answer:
                if answer.status in fine:
                    return None
                if not answer.ok:
                    said = (await answer.text())[:300]
                    raise DriverError(f"{hub.hub}: the hub answered {answer.status} to {method} {path}: {said}")
                return await answer.json() if answer.content_type == "application/json" else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DriverError(f"{hub.hub}: the hub's API does not answer: {error!r}", delay_s=1.0) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session
