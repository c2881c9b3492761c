"""Placeholders: pods that keep whole nodes for students who are about to come, and give way to any of them.

Each asks for all that a node has beside its daemons, and uses next to nothing of it. A cluster autoscaler sees pods that
wait for a node, and makes nodes; the scheduler ends them for any pod of a higher priority, and students' servers have one.
Nothing has room beside one, so the first student there has all of the node. That they are apart from students is not
*said*: the scheduler tries a pod again by that pod's own words, not by those of another that kept it away and is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.edge_objects import ProxyImage, own_namespace, plain_container, plain_pod
from agents.drivers.kubernetes.marks import MANAGED_BY, PLACEHOLDER, edge_namespace
from agents.drivers.kubernetes.own_namespace import check_own_namespace
from agents.drivers.kubernetes.student_nodes import StudentNodes
from federation.core.room import Size

log = structlog.get_logger(__name__)

NAME = "placeholders"
PRIORITY_CLASS = "hubfed-placeholders"  # one for all sites in a cluster
PRIORITY = -10  # below every pod that says nothing, and not below what autoscalers make nodes for
HOST = "kubernetes.io/hostname"
# One that was just pushed away waits for no node: how many are needed then is known a moment later.
SCALE_UP_DELAY = {"cluster-autoscaler.kubernetes.io/pod-scale-up-delay": "60s"}
IDLE = "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1 << 30)"


@dataclass(slots=True)
class Placeholders:
    """Of one site. `image`, `where`: asked when the first is needed."""

    api: Api
    image: Callable[[], ProxyImage]
    where: Callable[[], StudentNodes]
    _held: tuple[int, Size] | None = None
    _ranked: bool = False

    async def hold(self, nodes: int, shape: Size, seen: int) -> None:
        """`seen`: how many were there at the last look, wherever they are. Somebody who deletes all of them does not end
        what is to be kept."""
        wanted = (nodes, shape if nodes else Size())
        if wanted == self._held and (seen or not nodes):
            return
        self._held = None
        if nodes:
            await self._apply(nodes, shape)
        else:
            await self._remove()
        self._held = wanted
        log.info("placeholders.held", site=self.api.site, nodes=nodes)

    async def _apply(self, nodes: int, shape: Size) -> None:
        namespace = edge_namespace(self.api.site)
        if not await check_own_namespace(self.api):
            await self.api.apply(paths.namespace(namespace), own_namespace(self.api.site), force=True)
        if not self._ranked:
            await self.api.apply(f"{paths.PRIORITY_CLASSES}/{PRIORITY_CLASS}", priority_class(), force=True)
            self._ranked = True
        body = deployment(self.api.site, nodes, shape, self.image(), self.where())
        await self.api.apply(f"{paths.deployments(namespace)}/{NAME}", body, force=True)

    async def _remove(self) -> None:
        """What there is goes as a whole, pods and all."""
        path = f"{paths.deployments(edge_namespace(self.api.site))}/{NAME}"
        found = await self.api.get(path)
        if found is not None and (found["metadata"].get("labels") or {}).get(PLACEHOLDER) == self.api.site:
            await self.api.delete(path)


def priority_class() -> Object:
    """They push nobody away."""
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": PRIORITY_CLASS, "labels": {MANAGED_BY: "hubfed"}},
        "value": PRIORITY,
        "preemptionPolicy": "Never",
        "description": "Of pods that keep nodes for classes before they meet, and give way to everybody.",
    }


def deployment(site: str, nodes: int, shape: Size, image: ProxyImage, where: StudentNodes) -> Object:
    """So many, each with a node to itself."""
    labels = {PLACEHOLDER: site, MANAGED_BY: "hubfed"}
    apart = {"topologyKey": HOST, "labelSelector": {"matchLabels": {PLACEHOLDER: site}}}  # where nodes are larger
    asked = {"cpu": f"{shape.cpu_millis}m", "memory": str(shape.memory_bytes)}
    container = {**plain_container("placeholder", image, ["node", "-e", IDLE]), "resources": {"requests": asked}}
    pod = {
        **plain_pod(container),
        "priorityClassName": PRIORITY_CLASS,
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": dict(where.selector),
        "tolerations": list(where.tolerations),
        "affinity": {
            "nodeAffinity": where.affinity(),
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]},
        },
    }
    spec = {
        "replicas": nodes,
        "selector": {"matchLabels": {PLACEHOLDER: site}},
        "strategy": {"type": "Recreate"},  # of another shape: two at once would be two nodes
        "template": {"metadata": {"labels": labels, "annotations": SCALE_UP_DELAY}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME, "labels": labels}, "spec": spec}


def is_placeholder(pod: Object) -> bool:
    """Whether it takes nothing from anybody."""
    return PLACEHOLDER in (pod["metadata"].get("labels") or {})
