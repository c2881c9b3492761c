"""Labels and annotations by which this project finds its own in a cluster. Read by the fencer too, so no library here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SITE, HUB, CLASSROOM, SERVER = "hubfed.io/site", "hubfed.io/hub", "hubfed.io/classroom", "hubfed.io/server"
RECORD, HOMES, REPLICAS = "hubfed.io/record", "hubfed.io/homes", "hubfed.io/replicas"
AROUND = "hubfed.io/around"  # fingerprint of what surrounds a hub in its namespace
EDGE = "hubfed.io/edge"
PLACEHOLDER = "hubfed.io/placeholder"  # of a pod that keeps a node free, and of what makes it: no part of any hub
PREPARED = "hubfed.io/prepared"  # of a namespace into which `fedctl sites prepare` installs, with the site's name
COPIES = "hubfed.io/copies"  # of a pod that saves or restores homes: no part of the hub
HOMES_POD = "homes-"  # how names of such pods begin
MANAGED_BY = "app.kubernetes.io/managed-by"
OVER = ("Succeeded", "Failed")
ALIVE = ",".join(f"status.phase!={phase}" for phase in OVER)
"""The field selector of pods in which something may run."""


def edge_namespace(site: str) -> str:
    """Where the site's own pods are: those that belong to no hub."""
    return f"hubfed-{site}"


def of_daemon(meta: Mapping[str, Any]) -> bool:
    """Whether a pod is on a node because the node is there."""
    return any(one["kind"] in ("DaemonSet", "Node") for one in meta.get("ownerReferences") or ())


def part_of_hub(meta: Mapping[str, Any]) -> bool:
    """Whether a pod of a hub's namespace ends with the hub. Those that pull images ahead come again however often they are
    ended, and serve nobody; those that work on homes do so also where the hub has ended."""
    return not of_daemon(meta) and COPIES not in (meta.get("labels") or {})


def noted_replicas(workload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The patch that scales it to nothing and notes on it what it was."""
    note = {"annotations": {REPLICAS: str(workload["spec"].get("replicas", 1))}}
    return {"metadata": note, "spec": {"replicas": 0}}
