"""What a node has for students: its allocatable room minus what its daemons and the node itself need. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from agents.drivers.base import Capacity
from agents.drivers.kubernetes import marks

Object = dict[str, Any]
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
KEEPS_OUT = ("NoSchedule", "NoExecute")
STUDENTS = ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")  # taints of nodes that are for hubs or students
TOLERATED: tuple[Object, ...] = tuple(
    {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"} for key in STUDENTS
)
"""What students' servers tolerate in any case."""


def node_refusal(node: Object, tolerations: Sequence[Object] = TOLERATED) -> str:
    """Why no student's server, with these tolerations, can start there; empty: one can."""
    if node["spec"].get("unschedulable"):
        return "cordoned"
    conditions = (node.get("status") or {}).get("conditions") or ()
    if not any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        return "not ready"
    taints = (one for one in node["spec"].get("taints") or () if one.get("effect") in KEEPS_OUT)
    kept_out = sorted(one["key"] for one in taints if not any(_tolerates(said, one) for said in tolerations))
    if kept_out:
        return "control plane" if CONTROL_PLANE in kept_out else f"taint {kept_out[0]}"
    return ""


def room(node: Object, daemons: Iterable[Object], reserve: Capacity) -> Capacity:
    """For students' servers, with nothing of theirs counted."""
    allocatable = node["status"]["allocatable"]
    cpu, memory = _millis(allocatable.get("cpu", "0")), _bytes(allocatable.get("memory", "0"))
    for pod in daemons:
        asked = requests(pod)
        cpu, memory = cpu - asked.cpu_millis, memory - asked.memory_bytes
    return Capacity(max(0, cpu - reserve.cpu_millis), max(0, memory - reserve.memory_bytes))


def requests(pod: Object) -> Capacity:
    """What the scheduler counts of a pod: all containers together, or the largest that runs before them."""
    spec = pod["spec"]
    together = [_asked(one) for one in (*spec["containers"], *_beside(spec))]
    cpu, memory = sum(one[0] for one in together), sum(one[1] for one in together)
    first = [_asked(one) for one in spec.get("initContainers") or () if one.get("restartPolicy") != "Always"]
    return Capacity(max([cpu, *(one[0] for one in first)]), max([memory, *(one[1] for one in first)]))


def of_daemon(pod: Object) -> bool:
    """Whether it is on a node because the node is there."""
    return marks.of_daemon(pod["metadata"])


def _tolerates(said: Object, taint: Object) -> bool:
    """As Kubernetes reads it: what is not said fits everything."""
    same_value = said.get("operator") == "Exists" or said.get("value", "") == taint.get("value", "")
    same_key = said.get("key", "") in ("", taint["key"])
    return same_key and same_value and said.get("effect", "") in ("", taint["effect"])


def _beside(spec: Object) -> list[Object]:
    """Sidecars as Kubernetes has them: containers that start first and go on."""
    return [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]


def _asked(container: Object) -> tuple[int, int]:
    asked = (container.get("resources") or {}).get("requests") or {}
    return _millis(asked.get("cpu", "0")), _bytes(asked.get("memory", "0"))


@cache  # few are different, and thousands of pods are looked at
def _millis(text: str) -> int:
    return int(Decimal(parse_quantity(text)) * 1000)


@cache
def _bytes(text: str) -> int:
    return int(parse_quantity(text))
