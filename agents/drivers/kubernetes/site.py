"""Assembles the drivers of a site with a cluster. The composition root of the kind: nothing else makes these.

The agent reaches hubs at addresses of the cluster's services, so its host has to be a node, or it is in the cluster itself.
The edge is in the cluster where the site file says how it reaches the agent, else beside the agent as at local sites.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from random import SystemRandom

from agents.drivers.base import Capacity, SiteDrivers
from agents.drivers.canary_kubernetes import KubernetesCanary
from agents.drivers.cluster_kubernetes import KubernetesCluster
from agents.drivers.copies_kubernetes import KubernetesCopies
from agents.drivers.edge_kubernetes import KubernetesEdge
from agents.drivers.edge_local import LocalEdge
from agents.drivers.edge_table import EdgeTable
from agents.drivers.homes_kubernetes import KubernetesHomes
from agents.drivers.hub_kubernetes import KubernetesHubs
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.edge_objects import AskedAgent, EdgeObjects
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.placeholders import Placeholders
from agents.drivers.kubernetes.preparing import KubernetesPreparing
from agents.drivers.kubernetes.release_records import ReleaseRecords
from agents.drivers.kubernetes.releases import Releases
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.kubernetes.watches import Watches
from agents.drivers.local.settings import LocalSettings
from agents.drivers.testers_kubernetes import KubernetesTesters
from agents.lease_desk import PATH as DESK
from federation.core.chart_values.row import SitePart
from federation.model.errors import InvalidRequest
from federation.model.site_file import SiteFile
from federation.runtime.chart_archives import shipped_pins
from federation.runtime.clock import Clock
from federation.runtime.daemon import tls_files
from federation.runtime.disk import LocalDisk
from federation.runtime.helm_program import find_helm
from federation.runtime.identity_uri import agent_host
from federation.runtime.node import SOURCES, ensure_proxy
from federation.runtime.once import once
from federation.runtime.own_identity import own_principal
from federation.runtime.processes import Processes
from federation.runtime.restic_program import find_restic
from federation.runtime.settings_files import load_upstream


def from_file(site: SiteFile, folder: Path, here: LocalSettings, processes: Processes, clock: Clock) -> SiteDrivers:
    """Nothing is asked of the cluster before it is needed. `here`: what runs on the agent's own host. InvalidRequest if
    the chart is not where the file says."""
    settings = read(site, folder)
    spec = site.spec
    api = Api(site.name, settings.kubeconfig)
    watches = Watches.of(api, clock, SystemRandom())
    namespaces = Namespaces(site.name, api, watches.namespaces)
    records = ReleaseRecords(api)
    helm_dir = here.state_dir / "helm"
    releases = Releases(find_helm(), settings.kubeconfig, records, helm_dir, processes, clock, here.marks())
    hubs = KubernetesHubs(settings, api, namespaces, releases, clock, watches)
    edge = _edge(site, folder, settings, here, api, processes, clock)
    restic = once(lambda: find_restic(processes, here.copies_dir / "restic.log"))
    where = cache(settings.student_nodes)  # reads the chart
    return SiteDrivers(
        cluster=KubernetesCluster(
            watches,
            Capacity(spec.reserve.cpu.millis, spec.reserve.memory.bytes),
            where,
            Placeholders(api, settings.proxy_image, where),
        ),
        hubs=hubs,
        homes=KubernetesHomes(api, namespaces, clock),
        edge=edge,
        canary=KubernetesCanary(site.name, api, settings.proxy_image, clock, edge.ask),
        copies=KubernetesCopies(settings, here, processes, clock, LocalDisk(), api, namespaces, hubs, restic),
        testers=KubernetesTesters(api, namespaces, hubs, clock),
        preparing=_preparing(site, folder, here, processes, clock),
    )


def _preparing(
    site: SiteFile, folder: Path, here: LocalSettings, processes: Processes, clock: Clock
) -> KubernetesPreparing:
    """With connections and a folder of Helm's of its own: as whom it signs in nothing else is done."""
    cluster, prepare = site.spec.cluster, site.spec.prepare
    kubeconfig = prepare.kubeconfig if prepare is not None and prepare.kubeconfig else None
    path = folder / (kubeconfig or (cluster.kubeconfig if cluster is not None else ""))
    api = Api(site.name, path)
    helm_dir = here.state_dir / "helm-prepare"
    releases = Releases(find_helm(), path, ReleaseRecords(api), helm_dir, processes, clock, here.marks())
    pins = load_upstream(shipped_pins())
    return KubernetesPreparing(site.name, prepare, pins, charts_folder(site, folder), api, releases, clock)


def _edge(
    site: SiteFile,
    folder: Path,
    settings: KubernetesSettings,
    here: LocalSettings,
    api: Api,
    processes: Processes,
    clock: Clock,
) -> KubernetesEdge | LocalEdge:
    agent = site.spec.agent
    if agent is None or agent.edge_address is None or agent.tls is None:
        return LocalEdge(here, processes, clock, LocalDisk(), once(lambda: ensure_proxy(processes, clock)))
    tls = tls_files(agent.tls, folder)
    principal = own_principal(tls)
    url, name = f"https://{agent.edge_address}{DESK}", agent_host(principal.site, principal.uid)
    image = settings.proxy_image()
    programs = {file.name: file.read_text() for file in sorted(SOURCES.glob("*.mjs"))}

    def objects() -> EdgeObjects:
        asked = AskedAgent(url, name, tls.read()[0].decode())
        return EdgeObjects(site.name, image, asked, programs, here.edge_port)

    listens = f"{here.edge_host}:{here.edge_port}" if here.edge_port else ""
    table = EdgeTable(here.edge_table, LocalDisk())
    return KubernetesEdge(site.name, api, table, objects, clock, here.edge_address or listens)


def charts_folder(site: SiteFile, folder: Path) -> Path:
    """Where the site's charts are. InvalidRequest if nobody says it."""
    cluster = site.spec.cluster
    named = cluster.charts if cluster is not None else None
    charts = str(folder / named) if named else os.environ.get("HUBFED_CHARTS", "")
    if not charts:
        raise InvalidRequest(f"site {site.name}: no folder of charts is named", help="Set spec.cluster.charts.")
    return Path(charts)


def read(site: SiteFile, folder: Path) -> KubernetesSettings:
    """The part of the file that is of clusters."""
    cluster = site.spec.cluster
    if cluster is None:
        raise InvalidRequest(f"site {site.name}: no cluster is named", help="Set spec.cluster.kubeconfig.")
    return KubernetesSettings(
        kubeconfig=folder / cluster.kubeconfig,
        chart=Chart.find(charts_folder(site, folder), "jupyterhub"),
        around=Chart.own("classroom"),
        part=SitePart.of(site),
        values=cluster.values,
        image=cluster.image or "",
    )
