"""The canary of a site with a cluster: a pod that answers, in a namespace like a hub's, behind the site's edge (H13)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.drivers.edges import Passage
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.census import is_ready, troubles
from agents.drivers.kubernetes.edge_objects import PORT, ProxyImage, canary_namespace, canary_pod, host_port
from agents.drivers.kubernetes.marks import ALIVE, HUB, MANAGED_BY, SITE
from federation.model.errors import DriverError
from federation.runtime.clock import Clock

START_S, STOP_S = 60.0, 30.0
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class KubernetesCanary:
    """The CanaryDriver. `through_edge` sends a request for a host name through the site's edge."""

    site: str
    api: Api
    image: Callable[[], ProxyImage]
    clock: Clock
    through_edge: Callable[[str], Awaitable[Passage]]

    async def start(self, hub: str) -> str:
        await self._check(hub)
        await self.stop(hub)
        await self.api.apply(paths.namespace(hub), canary_namespace(self.site, hub))
        name = f"canary-{secrets.token_hex(3)}"
        await self._create(hub, name)
        until_mono = self.clock.mono() + START_S
        while True:
            pod = await self.api.get(f"{paths.pods(hub)}/{name}")
            if pod is not None and is_ready(pod):
                return host_port(pod["status"]["podIP"], PORT)
            if self.clock.mono() > until_mono:
                why = "; ".join(troubles(pod)) if pod is not None else "it was deleted"
                raise DriverError(f"{hub} did not answer within {START_S:.0f} s: {why or 'its pod says nothing'}")
            await self.clock.sleep(LOOK_S)

    async def ask(self, host: str) -> Passage:
        return await self.through_edge(host)

    async def alive(self, hub: str) -> bool:
        return bool(await self._pods(hub))

    async def stop(self, hub: str) -> None:
        until_mono = self.clock.mono() + STOP_S
        while pods := await self._pods(hub):
            for pod in pods:
                if not pod["metadata"].get("deletionTimestamp"):
                    await self.api.delete(f"{paths.pods(hub)}/{pod['metadata']['name']}", grace_s=1)
            if self.clock.mono() > until_mono:
                where = ", ".join(pod["spec"].get("nodeName", "no node") for pod in pods)
                raise DriverError(f"{hub} was told to end {STOP_S:.0f} s ago and has not, on {where}")
            await self.clock.sleep(LOOK_S)

    async def _check(self, hub: str) -> None:
        """A namespace of that name may be somebody else's."""
        found = await self.api.get(paths.namespace(hub))
        labels = (found or {}).get("metadata", {}).get("labels") or {}
        if found is not None and (labels.get(SITE), labels.get(HUB)) != (self.site, hub):
            wrong = f"the namespace {hub} is in the cluster already, and is not this site's"
            raise DriverError(wrong, delay_s=60.0, help="Delete it if nobody needs it: nothing in it was touched.")

    async def _create(self, hub: str, name: str) -> None:
        """A new namespace gets the account that its pods run as a moment later."""
        until_mono = self.clock.mono() + STOP_S
        while True:
            try:
                await self.api.create(paths.pods(hub), canary_pod(name, self.image()))
            except DriverError as error:
                if "serviceaccount" not in error.message or self.clock.mono() > until_mono:
                    raise
                await self.clock.sleep(LOOK_S)
            else:
                return

    async def _pods(self, hub: str) -> list[Object]:
        return await self.api.items(paths.pods(hub), fields=ALIVE, labels=f"{MANAGED_BY}=hubfed")
