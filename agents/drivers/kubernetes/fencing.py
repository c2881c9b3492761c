"""Assembles what a fencer needs of a cluster. Read by a fencer that has one, and by nobody else: it takes some MiB."""

from __future__ import annotations

from pathlib import Path

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.blocking_api import BlockingApi
from agents.drivers.kubernetes.marks import HUB, SITE
from agents.drivers.kubernetes.reach import Reach
from agents.drivers.stopper_kubernetes import KubernetesStopper, Remembered
from federation.runtime.machine_time import boottime_ns


def stopper(site: str, kubeconfig: Path, armed: Remembered) -> KubernetesStopper:
    """InvalidRequest if the kubeconfig cannot be used."""
    api = BlockingApi(kubeconfig)
    reach = Reach(lambda: api.names(paths.NAMESPACES, labelSelector=f"{SITE}={site},{HUB}"), boottime_ns)
    return KubernetesStopper(site, api, boottime_ns, armed, reach)
