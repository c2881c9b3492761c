"""The reserved user of test servers at a site with a cluster.

That a hub has one is noted on its namespace, first of all, and taken off last: a hub with a note has a tester, whoever was
killed in between. Its home is a claim like a student's, with its name on it, and goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.drivers.hub_kubernetes import KubernetesHubs
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.census import HUB, SERVERS, username
from agents.drivers.kubernetes.namespaces import Namespaces
from federation.core.chart_values.seat import SHARED_CLAIM
from federation.model.errors import DriverError
from federation.model.scalars import TESTER
from federation.runtime.clock import Clock

NOTE = "hubfed.io/tester"
SERVER, HOME = f"component={SERVERS}", "component=singleuser-storage"
GRACE_S, LIMIT_S, LOOK_S = 1.0, 20.0, 0.3


@dataclass(frozen=True, slots=True)
class KubernetesTesters:
    """The TesterDriver."""

    api: Api
    namespaces: Namespaces
    hubs: KubernetesHubs
    clock: Clock

    async def admit(self, hub: str, valid_s: float) -> str:
        address = await self.hubs.address(hub)
        if await self.api.get(f"{paths.claims(hub)}/{SHARED_CLAIM}") is not None:
            wrong = f"{hub}: its homes are folders of one claim, from which nobody could remove what a test leaves"
            raise DriverError(wrong, delay_s=None)
        await self.namespaces.note(hub, NOTE, self.clock.now().isoformat(timespec="seconds"))
        await self.hubs.hub_api.add_users(address, (TESTER,))
        return await self.hubs.hub_api.own_server_token(address, TESTER, valid_s)

    async def dismiss(self, hub: str) -> None:
        if hub not in await self.left():
            return
        deadline_mono = self.clock.mono() + LIMIT_S
        await self._end(hub, paths.pods(hub), SERVER, deadline_mono)
        if not (await self.hubs.pods.seen(hub)).ready(HUB):  # the user is in its database: the note stays
            raise DriverError(f"{hub}: its hub does not run, so that the user of test servers is still known to it")
        await self.hubs.hub_api.remove_user(await self.hubs.address(hub), TESTER)
        await self._end(hub, paths.pods(hub), SERVER, deadline_mono)  # one that the hub was about to start
        await self._end(hub, paths.claims(hub), HOME, deadline_mono)
        await self.namespaces.note(hub, NOTE, None)

    async def left(self) -> tuple[str, ...]:
        return await self.namespaces.noted(NOTE)

    async def _end(self, hub: str, kind: str, labels: str, deadline_mono: float) -> None:
        """Delete what of this kind is the tester's, and wait until it is gone: a claim that is about to go would keep the
        next test's server from starting."""
        while True:
            theirs = [one for one in await self.api.items(kind, labels=labels) if username(one) == TESTER]
            if not theirs:
                return
            names = [one["metadata"]["name"] for one in theirs]
            if self.clock.mono() > deadline_mono:
                raise DriverError(f"{hub}: what a test left does not go: {', '.join(names)}")
            for one, name in zip(theirs, names, strict=True):
                if not one["metadata"].get("deletionTimestamp"):
                    await self.api.delete(f"{kind}/{name}", grace_s=GRACE_S)
            await self.clock.sleep(LOOK_S)
