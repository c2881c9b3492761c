"""A site with a cluster as its agent has it: drivers made of a site file, folders, the desk for its edge, a real fencer."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from agents.drivers.base import SiteDrivers
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import edge_namespace
from agents.drivers.local.marks import table_file
from agents.lease_desk import LeaseDesk, open_desk
from agents.site_drivers import site_drivers
from federation.core.fencing import canary_of
from federation.model.site_file import SiteFile
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.identity_uri import agent_host
from federation.runtime.processes import Launch, ProcessId, SystemProcesses, inherited
from federation.runtime.tls import TlsFiles
from federation.runtime.volatile import volatile_dir
from tests.e2e.kubernetes.conftest import Sites, remove_namespace
from tests.support.certificates import Certificates
from tests.testbed import binaries, homes_image, hub_chart
from tests.testbed.accounts import account, path_of
from tests.testbed.own_charts import CHARTS, render

ROOT = Path(__file__).resolve().parents[3]
SITE, UID = "iu", "u1"
DESK_PORT, EDGE_PORT = 8446, 80
LONGEST_S = 9.18


@dataclass
class ClusterSite:
    """Its agent's host is the cluster's node. `edge_inside`: the edge is in the cluster."""

    sites: Sites
    folder: Path
    runtime: Path
    edge_inside: bool = True
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.processes = SystemProcesses(self.clock)
        self.tls: TlsFiles = Certificates(self.folder).agent(SITE, UID)

    @cached_property
    def drivers(self) -> SiteDrivers:
        """Of the agent that was there first."""
        return self.drivers_anew()

    @property
    def kubeconfig(self) -> Path:
        """Of an agent with the rights that ours has."""
        return account(self.sites.iu, "agent", self.folder)

    @property
    def address(self) -> str:
        return self.sites.net.address(SITE)

    @property
    def node_runtime(self) -> Path:
        """Of the fencer on the node."""
        return self.runtime / "node"

    @property
    def lease_file(self) -> Path:
        return self.runtime / "lease.json"

    def drivers_anew(self) -> SiteDrivers:
        """As a new agent makes them."""
        binaries.helm()
        body = {"apiVersion": "hubfed/v1", "kind": "Site", "metadata": {"name": SITE}, "spec": self.spec()}
        return site_drivers(SiteFile.model_validate(body), self.folder, self.folder, self.runtime, self.clock)

    def spec(self) -> dict[str, Any]:
        values = hub_chart.values_here()
        values["singleuser"] |= {"image": {"pullPolicy": "Never"}, "cpu": {"guarantee": 0.1}}  # the node has two cores
        cluster = {"kubeconfig": str(self.kubeconfig), "charts": str(hub_chart.chart().parent), "values": values}
        spec: dict[str, Any] = {"kind": "kubernetes", "cluster": cluster}
        if self.edge_inside:
            spec["edge"] = {"listen": f"0.0.0.0:{EDGE_PORT}", "address": f"{self.address}:{EDGE_PORT}"}
            spec["agent"] = {
                "coordinators": ["127.0.0.1:1"],  # nobody is: drivers ask none
                "edge_address": f"{self.address}:{DESK_PORT}",
                "tls": {name: str(getattr(self.tls, name)) for name in ("ca", "cert", "key")},
            }
        return spec

    def write_lease(self, content: bytes | None) -> None:
        """What the agent does on a grant; None: the file is gone."""
        if content is None:
            self.lease_file.unlink(missing_ok=True)
        else:
            LocalDisk().replace(self.lease_file, content, durable=False)

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[None]:
        """Edges are answered, as the agent does it."""
        table = table_file(self.folder)
        desk = LeaseDesk(self.lease_file, LocalDisk(), self.clock, lambda: LocalDisk().read(table))
        async with open_desk(desk, self.address, DESK_PORT, self.tls):
            yield

    def start_fencer(self) -> ProcessId:
        """Detached, logging to `fencer_log`."""
        folders = ("--state-dir", str(self.folder), "--runtime-dir", str(self.runtime))
        words = (
            "--site",
            SITE,
            *folders,
            "--longest",
            f"{LONGEST_S:g}",
            "--kubeconfig",
            str(account(self.sites.iu, "fencer", self.folder)),
        )
        argv = (sys.executable, "-m", "agents.fencer", *words)
        return self.processes.spawn(Launch(argv, self.fencer_log, env={**inherited(), **self.marks}, cwd=ROOT))

    def start_node_fencer(self) -> ProcessId:
        """On the node's host, as a DaemonSet would have it: it reads the kubelet's folder of logs, and asks the desk."""
        assert self.sites.iu.node is not None
        logs = self.sites.iu.node.folder / "pod-logs"
        self.node_runtime.mkdir(mode=0o700)
        asked = ("--ask", f"https://{self.address}:{DESK_PORT}/lease", "--ca", str(self.tls.ca))
        words = ("--site", SITE, "--runtime-dir", str(self.node_runtime), "--longest", f"{LONGEST_S:g}", *asked)
        more = ("--name", agent_host(SITE, UID), "--pod-logs", str(logs))
        argv = (sys.executable, "-m", "agents.fencer", *words, *more)
        return self.processes.spawn(Launch(argv, self.fencer_log, env={**inherited(), **self.marks}, cwd=ROOT))

    def install_node_fencer(self, namespace: str) -> str:
        """The same by our chart, in a pod whose image the node has; returns where the pod is."""
        assert self.sites.iu.node is not None
        values = {
            "site": SITE,
            "image": homes_image.NAME,
            "pullPolicy": "Never",
            "profile": "lab",
            "agent": {
                "address": f"{self.address}:{DESK_PORT}",
                "name": agent_host(SITE, UID),
                "ca": self.tls.ca.read_text(),
            },
            "podLogs": str(self.sites.iu.node.folder / "pod-logs"),
            "runtimeDir": str(self.node_runtime),
        }
        for body in yaml.safe_load_all(render(CHARTS / "site-fencer", "site-fencer", namespace, values)):
            body["metadata"]["namespace"] = namespace
            self.sites.iu.api.apply(path_of(body), body)
        return paths.pods(namespace)

    @property
    def fencer_log(self) -> Path:
        return self.folder / "fencer.log"

    @property
    def marks(self) -> dict[str, str]:
        return {"HUBFED_DIR": f"test-{self.folder.name}", "HUBFED_SITE": SITE, "HUBFED_ROLE": "fencer"}


@contextmanager
def cluster_site(sites: Sites, *, edge_inside: bool = True) -> Iterator[ClusterSite]:
    """On the host of the cluster iu, and everything that the test starts meanwhile, too."""
    folder = Path(tempfile.mkdtemp(prefix="hubfed-test-"))
    runtime = volatile_dir(folder)
    try:
        with sites.net.inside(SITE):
            yield ClusterSite(sites, folder, runtime, edge_inside)
    finally:
        for namespace in (edge_namespace(SITE), canary_of(SITE)):
            remove_namespace(sites.iu.api, namespace)
        shutil.rmtree(runtime, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
