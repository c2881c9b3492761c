"""One bench for the contract of hubs: the same handles on a real local site and on its in-memory twin."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Protocol

import aiohttp
import pytest

from agents.drivers.base import Capacity, HubDriver, SiteDrivers
from agents.drivers.hub_address import HubAddress
from agents.drivers.hub_local import LocalHubs
from agents.drivers.memory import MemorySite
from federation.model.errors import DriverError, Unavailable
from federation.model.identity import Epoch
from federation.runtime.clock import SystemClock
from federation.runtime.node import ensure_proxy
from federation.runtime.student import Student
from tests.support.local_site import E1, GIB, PASSWORD, LocalSite, running_site, until


class HubBench(Protocol):
    """What a test of the contract may do to a site."""

    drivers: SiteDrivers
    epoch: Epoch  # the newest that was given
    generation: int

    def drivers_anew(self) -> SiteDrivers:
        """As a restarted agent makes them."""
        ...

    def kill(self, hub: str, role: str) -> None:
        """SIGKILL of the hub or of its proxy."""
        ...

    async def start_server(self, hub: str, user: str) -> None:
        """Start one student's server and wait until it is counted."""
        ...

    async def turned_away(self, hub: str, user: str) -> str:
        """What somebody reads who signs in and asks for a server now; they must get neither."""
        ...

    def pids(self, hub: str) -> set[int]:
        """What runs; the twin has no numbers and answers with an empty set."""
        ...


class MemoryBench:
    def __init__(self) -> None:
        self.epoch, self.generation = E1, 1
        self.site = MemorySite("iu", SystemClock(), Capacity(30_000, 60 * GIB), start_delay_s=0.05, stop_delay_s=0.01)
        self.drivers = self.site.drivers()

    def drivers_anew(self) -> SiteDrivers:
        return self.site.drivers()

    def kill(self, hub: str, role: str) -> None:
        if role == "hub":
            self.site.kill_hub(hub)
        else:
            self.site.kill_proxy(hub)

    async def start_server(self, hub: str, user: str) -> None:
        self.site.start_server(hub, user)

    async def turned_away(self, hub: str, user: str) -> str:
        with pytest.raises(DriverError) as refused:
            self.site.start_server(hub, user)
        return refused.value.message

    def pids(self, hub: str) -> set[int]:
        return set()


class LocalBench:
    def __init__(self, site: LocalSite) -> None:
        self.epoch, self.generation = E1, 1
        self.site = site
        self.drivers = site.drivers

    def drivers_anew(self) -> SiteDrivers:
        return self.site.drivers_anew()

    def kill(self, hub: str, role: str) -> None:
        for found in self.site.processes.find(self.site.settings.marks(HUB=hub, ROLE=role), descendants=False):
            os.kill(found.pid, signal.SIGKILL)

    async def start_server(self, hub: str, user: str) -> None:
        await start_server(self._address(hub), user)

    async def turned_away(self, hub: str, user: str) -> str:
        return await turned_away(self._address(hub), user)

    def _address(self, hub: str) -> HubAddress:
        file = local_hubs(self.drivers.hubs).file(hub)
        assert file is not None
        return file.address

    def pids(self, hub: str) -> set[int]:
        return {found.pid for found in self.site.processes.find(self.site.settings.marks(HUB=hub))}


async def start_server(hub: HubAddress, user: str, limit_s: float = 60) -> None:
    """As an admin does it; returns when it is ready."""
    url, headers = f"http://{hub.direct}/hub/api/users/{user}", {"Authorization": f"token {hub.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{url}/server") as answer:
            assert answer.status in (201, 202, 400), await answer.text()

        async def ready() -> bool:
            async with session.get(url) as answer:
                return bool((await answer.json())["servers"].get("", {}).get("ready"))

        await until(ready, f"the server of {user} is ready", limit_s)


async def turned_away(hub: HubAddress, user: str) -> str:
    """What the login page says to them; neither sign-in nor an admin gets them a server."""
    async with Student(f"http://{hub.proxy}", f"{hub.hub}.localhost", user) as student:
        assert await student.sign_in(PASSWORD) == HTTPStatus.SERVICE_UNAVAILABLE
        async with student.session.get(student.base / "hub/login") as page:
            text = await page.text()
    url, headers = f"http://{hub.direct}/hub/api/users/{user}", {"Authorization": f"token {hub.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{url}/server") as answer:
            await answer.read()
        async with session.get(url) as answer:
            assert "" not in (await answer.json())["servers"]
    return text


def local_hubs(driver: HubDriver) -> LocalHubs:
    """The real driver behind the interface."""
    assert isinstance(driver, LocalHubs)
    return driver


@asynccontextmanager
async def hub_bench(kind: str) -> AsyncIterator[HubBench]:
    """`memory` or `local`."""
    if kind == "memory":
        yield MemoryBench()
    else:
        async with local_site_or_skip() as site:
            yield LocalBench(site)


@asynccontextmanager
async def local_site_or_skip() -> AsyncIterator[LocalSite]:
    """A real site; where its proxy cannot be installed that is a failure under CI and a skip elsewhere."""
    async with running_site() as site:
        try:
            await ensure_proxy(site.processes, site.clock)
        except Unavailable as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(error.message)
        yield site
