"""The edge of a site with a cluster: our proxy in a pod, between ingress and hubs, which asks the agent what may be open.

I1 never depends on an ingress controller: whatever leads to this edge, it closes by itself (`federation/runtime/proxy`).
This side applies its objects, writes the table that the agent's desk tells it, and looks at it from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from agents.drivers.edge_table import EdgeTable, EdgeVisitor
from agents.drivers.edges import Departed, Passage, Route
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.census import troubles
from agents.drivers.kubernetes.edge_objects import NAME, EdgeObjects, host_port
from agents.drivers.kubernetes.marks import EDGE, edge_namespace
from agents.drivers.kubernetes.own_namespace import check_own_namespace
from agents.drivers.local.marks import EDGE as MODE
from federation.model.errors import DriverError
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

PATIENCE_S = 20.0  # a pod may have to be started, and be told its routes
LOOK_S = 0.25


@dataclass(slots=True)
class KubernetesEdge:
    """The EdgeDriver. `objects` are made anew at each look: certificates are renewed in place. `address` is where others
    reach it, host:port; empty: the address of its service, which is known in the cluster alone."""

    site: str
    api: Api
    table: EdgeTable
    objects: Callable[[], EdgeObjects]
    clock: Clock
    address: str = ""
    visitor: EdgeVisitor = field(default_factory=EdgeVisitor)
    _applied: EdgeObjects | None = None
    _service: str = ""

    async def ensure(self) -> str:
        wanted = self.objects()
        answers = await self._answers()
        if wanted == self._applied and answers:
            return self._reached()
        try:
            await self._apply(wanted)
        except DriverError as error:
            if not answers:
                raise
            log.warning("edge.not_applied", error=error.message)  # it is there, and needs no API server
            return self._reached()
        until_mono = self.clock.mono() + PATIENCE_S
        while not await self._answers():
            if self.clock.mono() > until_mono:
                raise DriverError(f"the edge at {self._reached()} does not answer: {await self._why()}", delay_s=1.0)
            await self.clock.sleep(LOOK_S)
        return self._reached()

    async def publish(
        self, routes: tuple[Route, ...], departed: tuple[Departed, ...] = (), unseen: frozenset[str] = frozenset()
    ) -> None:
        self.table.publish(routes, departed, unseen)

    async def is_open(self, hub: str) -> bool:
        host = self.table.host(hub)
        return host is not None and await self.ask(host) is Passage.PASSED

    async def ask(self, host: str) -> Passage:
        """One request for a host name, from outside the edge."""
        return await self.visitor.ask(self._reached(), host) if self._reached() else Passage.SILENT

    async def close(self) -> None:
        await self.visitor.close()

    def _reached(self) -> str:
        return self.address or self._service

    async def _apply(self, wanted: EdgeObjects) -> None:
        """All of it, whatever is there: what is as it should be is not written."""
        self._applied = None
        await check_own_namespace(self.api)
        made = {path: await self.api.apply(path, body, force=True) for path, body in wanted.all().items()}
        service = made[paths.service(edge_namespace(self.site), NAME)]["spec"]
        self._service = host_port(service["clusterIP"], service["ports"][0]["port"])
        self._applied = wanted
        log.info("edge.applied", namespace=edge_namespace(self.site), image=wanted.image.name, address=self._reached())

    async def _answers(self) -> bool:
        about = await self.visitor.about(self._reached()) if self._reached() else None
        return about is not None and about.get("mode") == MODE

    async def _why(self) -> str:
        pods = await self.api.items(paths.pods(edge_namespace(self.site)), labels=EDGE)
        return "; ".join(said for pod in pods for said in troubles(pod)) or "its pod says nothing"
