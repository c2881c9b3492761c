"""The nodes of a site's cluster: what they hold for students, and what students' servers take of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.drivers.base import Capacity, ClusterView
from agents.drivers.kubernetes.census import SERVERS, Census, living
from agents.drivers.kubernetes.node_room import node_refusal, of_daemon, requests, room
from agents.drivers.kubernetes.watches import Watches
from federation.model.status import Condition, ConditionType, Truth

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KubernetesCluster:
    """The ClusterDriver."""

    watches: Watches
    reserve: Capacity  # of each node, for itself

    async def observe(self) -> ClusterView:
        nodes, pods = await self.watches.nodes.objects(), tuple(living(await self.watches.pods.objects()))
        daemons = _by_node(pod for pod in pods if of_daemon(pod))
        good = [node for node in nodes if not node_refusal(node)]
        capacity = _sum(room(node, daemons.get(node["metadata"]["name"], []), self.reserve) for node in good)
        servers = Census(pods).of_component(SERVERS)
        return ClusterView(capacity, _sum(requests(pod) for pod in servers), (self._nodes(nodes),))

    def _nodes(self, nodes: Sequence[Object]) -> Condition:
        bad = sorted(f"{node['metadata']['name']} ({why})" for node in nodes if (why := node_refusal(node)))
        if not nodes or bad:
            said = "no nodes" if not nodes else f"not for students: {', '.join(bad)}"
            status, reason = Truth.FALSE, "NodesMissing"
        else:
            said, status, reason = f"{len(nodes)} nodes take pods", Truth.TRUE, "NodesReady"
        return Condition(type=ConditionType.NODES_READY, status=status, reason=reason, message=said)


def _by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for pod in pods:
        found.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    return found


def _sum(all_of_them: Iterable[Capacity]) -> Capacity:
    cpu = memory = 0
    for one in all_of_them:
        cpu, memory = cpu + one.cpu_millis, memory + one.memory_bytes
    return Capacity(cpu, memory)
