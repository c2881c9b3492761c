"""Assembles the drivers of a site with a cluster. The composition root of the kind: nothing else makes these.

The edge is the one of local sites, beside the agent: it reaches hubs at addresses of the cluster's services, so the agent's
host has to be a node, or in the cluster.
"""

from __future__ import annotations

import os
from pathlib import Path

from agents.drivers.base import Capacity, SiteDrivers
from agents.drivers.cluster_kubernetes import KubernetesCluster
from agents.drivers.copies_kubernetes import KubernetesCopies
from agents.drivers.edge_local import LocalEdge
from agents.drivers.homes_kubernetes import KubernetesHomes
from agents.drivers.hub_kubernetes import KubernetesHubs
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.not_there import NoCanary, NoTesters
from agents.drivers.kubernetes.releases import Releases
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.local.settings import LocalSettings
from federation.core.chart_values.row import SitePart
from federation.model.errors import InvalidRequest
from federation.model.site_file import Purpose, SiteFile
from federation.runtime.clock import Clock
from federation.runtime.disk import LocalDisk
from federation.runtime.helm_program import find_helm
from federation.runtime.node import ensure_proxy
from federation.runtime.once import once
from federation.runtime.processes import Processes
from federation.runtime.restic_program import find_restic


def from_file(site: SiteFile, folder: Path, here: LocalSettings, processes: Processes, clock: Clock) -> SiteDrivers:
    """Nothing is asked of the cluster before it is needed. `here`: what runs on the agent's own host. InvalidRequest if
    the chart is not where the file says."""
    settings = read(site, folder)
    spec = site.spec
    api = Api(site.name, settings.kubeconfig)
    namespaces = Namespaces(site.name, api)
    releases = Releases(find_helm(), settings.kubeconfig, here.state_dir / "helm", processes, clock, here.marks())
    install = once(lambda: ensure_proxy(processes, clock))
    restic = once(lambda: find_restic(processes, here.copies_dir / "restic.log"))
    hubs = KubernetesHubs(settings, api, namespaces, releases, clock)
    return SiteDrivers(
        cluster=KubernetesCluster(api, Capacity(spec.reserve.cpu.millis, spec.reserve.memory.bytes)),
        hubs=hubs,
        homes=KubernetesHomes(api, namespaces, clock),
        edge=LocalEdge(here, processes, clock, LocalDisk(), install),
        canary=NoCanary(),
        copies=KubernetesCopies(settings, here, processes, clock, LocalDisk(), api, namespaces, hubs, restic),
        testers=NoTesters(),
    )


def read(site: SiteFile, folder: Path) -> KubernetesSettings:
    """The part of the file that is of clusters."""
    cluster = site.spec.cluster
    if cluster is None:
        raise InvalidRequest(f"site {site.name}: no cluster is named", help="Set spec.cluster.kubeconfig.")
    charts = str(folder / cluster.charts) if cluster.charts else os.environ.get("HUBFED_CHARTS", "")
    if not charts:
        raise InvalidRequest(f"site {site.name}: no folder of charts is named", help="Set spec.cluster.charts.")
    users = [pool for pool in site.spec.pools if pool.purpose is Purpose.USERS]
    core = any(pool.purpose is Purpose.CORE for pool in site.spec.pools)
    storage_class = site.spec.storage.storage_class if site.spec.storage is not None else None
    part = SitePart(
        storage_class=storage_class or "", node_group=users[0].name if len(users) == 1 else "", core_nodes=core
    )
    return KubernetesSettings(
        kubeconfig=folder / cluster.kubeconfig,
        chart=Chart.find(Path(charts), "jupyterhub"),
        part=part,
        values=cluster.values,
        image=cluster.image or "",
    )
