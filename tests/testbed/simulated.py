"""Nodes that kwok plays: pods on them start and end as objects, and nothing runs. For numbers that no machine has room for.

They are tainted, and chosen by a label, so that a real node beside them keeps its own pods.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.testbed import binaries, credentials
from tests.testbed.api import Object, Refused
from tests.testbed.cluster import Cluster

KWOK = "kwok"
MARK = "kwok.x-k8s.io/node"
LABELS = {"type": "simulated"}
READY_S = 120.0
# How a pod comes to be on one of them: put into its spec.
CHOOSE: Object = {"nodeSelector": LABELS, "tolerations": [{"key": MARK, "operator": "Exists"}]}


@contextmanager
def simulated_nodes(cluster: Cluster, count: int, cpu: str = "32", memory: str = "256Gi") -> Iterator[list[str]]:
    """Their names, when all are ready."""
    stages = cluster.daemons.folder / "stages.yaml"
    stages.write_text(subprocess.run([binaries.kwok(), "stages"], capture_output=True, text=True, check=True).stdout)
    cluster.daemons.start(
        KWOK, binaries.kwok(), f"--config={stages}", "--node-lease-duration-seconds=40", "--manage-all-nodes=false",
        f"--kubeconfig={cluster.control.files.kubeconfig(credentials.ADMIN)}",
        f"--manage-nodes-with-annotation-selector={MARK}=simulated",
    )  # fmt: skip
    names = [f"simulated-{number:04d}" for number in range(count)]
    try:
        for name in names:
            cluster.api.create("/api/v1/nodes", _node(name, cpu, memory))
        cluster.daemons.until(lambda: _ready(cluster) >= count, f"{count} simulated nodes are ready", READY_S)
        yield names
    finally:
        cluster.daemons.stop(KWOK)
        for name in names:
            with suppress(Refused):  # one that was not made
                cluster.api.delete(f"/api/v1/nodes/{name}")


def _node(name: str, cpu: str, memory: str) -> Object:
    room = {"cpu": cpu, "memory": memory, "pods": "110"}
    labels = LABELS | {"kubernetes.io/hostname": name}
    taint = {"key": MARK, "value": "simulated", "effect": "NoSchedule"}
    return {
        "metadata": {"name": name, "annotations": {MARK: "simulated"}, "labels": labels},
        "spec": {"taints": [taint]},
        "status": {"allocatable": room, "capacity": room},
    }


def _ready(cluster: Cluster) -> int:
    nodes = cluster.api.items("/api/v1/nodes", labelSelector="type=simulated")
    conditions = (row for node in nodes for row in node["status"].get("conditions", []))
    return sum(row["type"] == "Ready" and row["status"] == "True" for row in conditions)
