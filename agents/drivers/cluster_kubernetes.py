"""The nodes of a site's cluster: what students can have, what is taken of it, and those kept for who is about to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.drivers.base import Capacity, ClusterView
from agents.drivers.kubernetes.census import SERVERS, Census, living, username
from agents.drivers.kubernetes.node_room import node_refusal, of_daemon, requests, room
from agents.drivers.kubernetes.placeholders import Placeholders, is_placeholder
from agents.drivers.kubernetes.student_nodes import StudentNodes
from agents.drivers.kubernetes.watches import Watches
from federation.core.room import STEP, Node, Size
from federation.model.scalars import TESTER
from federation.model.status import Condition, ConditionType, Truth

Object = dict[str, Any]


@dataclass(slots=True)
class KubernetesCluster:
    """The ClusterDriver."""

    watches: Watches
    reserve: Capacity  # of each node, for itself
    where: Callable[[], StudentNodes]
    placeholders: Placeholders
    _seen: int = 0  # placeholders at the last look

    async def observe(self) -> ClusterView:
        nodes, pods = await self.watches.nodes.objects(), tuple(living(await self.watches.pods.objects()))
        self._seen = sum(1 for pod in pods if is_placeholder(pod))
        where = self.where()
        daemons = _by_node(pod for pod in pods if of_daemon(pod))
        good = [node for node in nodes if not node_refusal(node, where.tolerations)]
        capacity = _sum(room(node, daemons.get(node["metadata"]["name"], []), self.reserve) for node in good)
        servers = Census(pods).of_component(SERVERS)
        used = _sum(requests(pod) for pod in servers)
        return ClusterView(
            capacity, used, (self._nodes(nodes, where),), student_nodes(nodes, pods, where, self.reserve)
        )

    async def hold(self, nodes: int, shape: Size) -> None:
        """With what each keeps for itself: else a small server would have room beside a placeholder."""
        reserve = Size(self.reserve.cpu_millis, self.reserve.memory_bytes)
        await self.placeholders.hold(nodes, shape.plus(reserve).minus(STEP), self._seen)

    def _nodes(self, nodes: Sequence[Object], where: StudentNodes) -> Condition:
        refused = ((node["metadata"]["name"], node_refusal(node, where.tolerations)) for node in nodes)
        bad = sorted(f"{name} ({why})" for name, why in refused if why)
        if not nodes or bad:
            said = "no nodes" if not nodes else f"not for students: {', '.join(bad)}"
            status, reason = Truth.FALSE, "NodesMissing"
        else:
            said, status, reason = f"{len(nodes)} nodes take pods", Truth.TRUE, "NodesReady"
        return Condition(type=ConditionType.NODES_READY, status=status, reason=reason, message=said)


def student_nodes(
    nodes: Iterable[Object], pods: Sequence[Object], where: StudentNodes, reserve: Capacity
) -> tuple[Node, ...]:
    """Those that students' servers of this site run on, with what is on them. Placeholders take nothing from anybody."""
    by_node = _by_node(pod for pod in pods if not is_placeholder(pod))
    return tuple(
        _student_node(node, by_node.get(node["metadata"]["name"], ()), where, reserve)
        for node in nodes
        if where.take(node)
    )


def _student_node(node: Object, pods: Sequence[Object], where: StudentNodes, reserve: Capacity) -> Node:
    """What is neither a daemon nor a student's server lives of what the node keeps for itself, as long as that lasts."""
    servers = Census(tuple(pods)).of_component(SERVERS)
    theirs = {id(pod) for pod in servers}
    others = _size(_sum(requests(pod) for pod in pods if id(pod) not in theirs and not of_daemon(pod)))
    return Node(
        name=node["metadata"]["name"],
        size=_size(room(node, (pod for pod in pods if of_daemon(pod)), reserve)),
        others=others.minus(_size(reserve)),
        students=_size(_sum(requests(pod) for pod in servers)),
        servers=_by_hub(servers),
        shared=others.minus(STEP) != Size(),
        open=not node_refusal(node, where.tolerations),
    )


def _by_hub(servers: Iterable[Object]) -> Mapping[str, int]:
    """A test server is no student's."""
    return Counter(pod["metadata"]["namespace"] for pod in servers if username(pod) != TESTER)


def _by_node(pods: Iterable[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for pod in pods:
        found.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    return found


def _size(capacity: Capacity) -> Size:
    return Size(capacity.cpu_millis, capacity.memory_bytes)


def _sum(all_of_them: Iterable[Capacity]) -> Capacity:
    cpu = memory = 0
    for one in all_of_them:
        cpu, memory = cpu + one.cpu_millis, memory + one.memory_bytes
    return Capacity(cpu, memory)
