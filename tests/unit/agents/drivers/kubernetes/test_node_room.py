"""How much of a cluster students can have."""

from __future__ import annotations

from typing import Any

import pytest

from agents.drivers.base import Capacity
from agents.drivers.kubernetes.node_room import node_refusal, of_daemon, requests, room

GIB = 1 << 30
NONE = Capacity(0, 0)


def node(*, ready: bool = True, cpu: str = "8", memory: str = "29935Mi", **spec: Any) -> dict[str, Any]:
    """An m3.medium of Jetstream, as its kubelet describes it."""
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    allocatable = {"cpu": cpu, "memory": memory}
    return {"metadata": {"name": "n"}, "spec": spec, "status": {"allocatable": allocatable, "conditions": conditions}}


def pod(*asked: tuple[str, str], first: tuple[tuple[str, str], ...] = (), sidecar: bool = False) -> dict[str, Any]:
    def container(cpu: str, memory: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu, "memory": memory}}}

    more = {"restartPolicy": "Always"} if sidecar else {}
    inits = [container(*one) | more for one in first]
    return {"metadata": {}, "spec": {"containers": [container(*one) for one in asked], "initContainers": inits}}


def test_what_daemons_and_the_node_itself_need_is_not_for_students() -> None:
    daemons = [pod(("100m", "70Mi")), pod(("0.25", "128974848"))]
    found = room(node(cpu="7910m", memory="30Gi"), daemons, Capacity(500, 3 * GIB // 2))
    assert found == Capacity(7910 - 100 - 250 - 500, 30 * GIB - (70 << 20) - 128974848 - 3 * GIB // 2)


def test_a_node_that_is_too_small_has_no_room_rather_than_less_than_none() -> None:
    assert room(node(cpu="100m", memory="64Mi"), [pod(("1", "1Gi"))], NONE) == NONE


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, ""),
        ({"unschedulable": True}, "cordoned"),
        ({"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]}, "control plane"),
        ({"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}, "taint nvidia.com/gpu"),
        ({"taints": [{"key": "hub.jupyter.org/dedicated", "value": "user", "effect": "NoSchedule"}]}, ""),
        ({"taints": [{"key": "anything", "effect": "PreferNoSchedule"}]}, ""),
    ],
)
def test_where_no_server_can_start_there_is_no_room(spec: dict[str, Any], why: str) -> None:
    assert node_refusal(node(**spec)) == why


def test_a_node_that_is_silent_is_not_counted() -> None:
    assert node_refusal(node(ready=False)) == "not ready"


def test_a_pod_asks_for_all_its_containers_or_for_the_largest_that_runs_first() -> None:
    assert requests(pod(("1", "1Gi"), ("500m", "1Gi"))) == Capacity(1500, 2 * GIB)
    assert requests(pod(("1", "1Gi"), first=(("2", "512Mi"),))) == Capacity(2000, GIB)
    assert requests(pod(("1", "1Gi"), first=(("2", "512Mi"),), sidecar=True)) == Capacity(3000, 3 * GIB // 2)
    assert requests({"metadata": {}, "spec": {"containers": [{}]}}) == NONE


def test_pods_that_are_on_every_node_are_told_by_their_owner() -> None:
    assert of_daemon({"metadata": {"ownerReferences": [{"kind": "DaemonSet"}]}})
    assert not of_daemon({"metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]}})
    assert not of_daemon({"metadata": {}})
