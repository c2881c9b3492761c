"""The real fencer over a real cluster: hubs whose time is over end, although no agent runs; what is not reached is said.

What stands for a hub here is a namespace with its labels, a Deployment and a pod of its own, as a student's server is one.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import ALIVE, HUB, REPLICAS, SITE
from agents.fencer import ARMED
from federation.runtime.process_table import ProcessTable
from federation.runtime.processes import ProcessId
from tests.e2e.kubernetes.cluster_site import ClusterSite, cluster_site
from tests.e2e.kubernetes.conftest import Sites, remove_namespace
from tests.support.federation import until
from tests.support.freezing import freeze
from tests.testbed import pods
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

S = 10**9
ENDED_S = 6.0
sequence = count(1)
LASTS = "sleep 600"
KUBE_API = "kube-apiserver"


@dataclass
class Fenced:
    """A site with a fencer and no agent: the test writes the lease file."""

    here: ClusterSite
    fencer: ProcessId
    newest: int = 0

    def write(self, **hubs: float | None) -> None:
        """Hub -> seconds from now at which it is to be stopped, or None."""
        now = self.here.clock.boottime_ns()
        at = {hub.replace("_", "-"): None if s is None else now + int(s * S) for hub, s in hubs.items()}
        entries = {hub: {"epoch": [1, 1], "close_at": stop, "stop_by": stop} for hub, stop in at.items()}
        self.newest = next(sequence)
        body = {"boot_id": self.here.clock.boot_id(), "incarnation": 1, "seq": self.newest, "hubs": entries}
        self.here.write_lease(json.dumps(body).encode())

    def ack(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.here.runtime / "ack.json").read_bytes())
        return content

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.here.fencer_log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def living(self, hub: str) -> list[str]:
        found = self.here.sites.iu.api.items(paths.pods(hub), fieldSelector=ALIVE)
        return [pod["metadata"]["name"] for pod in found]


@pytest.fixture(scope="module")
def site(sites: Sites) -> Iterator[ClusterSite]:
    with cluster_site(sites, edge_inside=False) as here:
        yield here


@pytest.fixture
def fenced(site: ClusterSite) -> Iterator[Fenced]:
    for left in (site.runtime / "ack.json", site.fencer_log, site.folder / ARMED):
        left.unlink(missing_ok=True)
    made = Fenced(site, site.start_fencer())
    made.write()
    until(lambda: (site.runtime / "ack.json").exists() and made.ack()["blind"] == "", "it reaches the cluster")
    yield made
    if ProcessTable().identify(made.fencer.pid) == made.fencer:
        os.kill(made.fencer.pid, signal.SIGKILL)
    until(lambda: ProcessTable().identify(made.fencer.pid) != made.fencer, "the fencer is gone")


@pytest.fixture
def hub(sites: Sites) -> Iterator[str]:
    name = f"fenced-{next(sequence)}"
    run_hub(sites, name)
    yield name
    remove_namespace(sites.iu.api, name)


def run_hub(sites: Sites, name: str, site: str = "iu") -> None:
    """Two pods, of which a controller keeps one."""
    api = sites.iu.api
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": {SITE: site, HUB: name}}})
    server = pods.pod("jupyter-s01", LASTS)
    pods.start(api, name, server)
    template = {"metadata": {"labels": {"app": "hub"}}, "spec": {**server["spec"], "restartPolicy": "Always"}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "hub"}}, "template": template}
    api.create(paths.deployments(name), {"metadata": {"name": "hub"}, "spec": spec})
    until(lambda: running(sites, name) == 2, "both run", 60)


def running(sites: Sites, name: str) -> int:
    return sum(pod["status"]["phase"] == "Running" for pod in sites.iu.api.items(paths.pods(name)))


def test_a_lapsed_hub_ends_in_time_with_all_its_pods_and_does_not_come_again(
    sites: Sites, fenced: Fenced, hub: str
) -> None:
    fenced.write(**{hub.replace("-", "_"): 1})
    until(lambda: not fenced.living(hub), "nothing of it lives", 1 + ENDED_S)
    until(lambda: fenced.said("history.fenced") != [], "it says so")
    assert fenced.said("history.fenced")[-1]["hub"] == hub
    time.sleep(2)
    assert fenced.living(hub) == []
    [workload] = sites.iu.api.items(paths.deployments(hub))
    assert workload["spec"]["replicas"] == 0
    assert workload["metadata"]["annotations"][REPLICAS] == "1", "so that a start knows what it was"


def test_a_hub_that_is_started_after_its_time_is_ended_too(sites: Sites, fenced: Fenced, hub: str) -> None:
    fenced.write(**{hub.replace("-", "_"): 0.5})
    until(lambda: not fenced.living(hub), "nothing of it lives", 1 + ENDED_S)
    scale = f"{paths.deployments(hub)}/hub"
    sites.iu.api.call("PATCH", scale, {"spec": {"replicas": 1}}, "application/merge-patch+json")
    until(lambda: fenced.living(hub) != [], "somebody starts it again")
    until(lambda: not fenced.living(hub), "and it is ended again", ENDED_S)


def test_what_is_permitted_and_what_is_another_sites_is_left_alone(sites: Sites, fenced: Fenced, hub: str) -> None:
    other = f"other-{next(sequence)}"
    run_hub(sites, other, site="elsewhere")
    try:
        fenced.write(**{hub.replace("-", "_"): None})
        time.sleep(3)
        assert len(fenced.living(hub)) == 2
        assert len(fenced.living(other)) == 2
    finally:
        remove_namespace(sites.iu.api, other)


def test_a_fencer_that_knows_nothing_ends_every_hub_of_its_site_and_no_other(
    sites: Sites, site: ClusterSite, hub: str
) -> None:
    """As after a restart whose lease file was lost."""
    other = f"other-{next(sequence)}"
    run_hub(sites, other, site="elsewhere")
    site.write_lease(None)
    (site.folder / ARMED).unlink(missing_ok=True)
    made = Fenced(site, site.start_fencer())
    try:
        until(lambda: not made.living(hub), "nothing of it lives", 2 + ENDED_S + 4)
        assert len(made.living(other)) == 2
    finally:
        os.kill(made.fencer.pid, signal.SIGKILL)
        remove_namespace(sites.iu.api, other)


def test_after_a_boot_of_its_host_what_was_armed_ends_and_what_stood_runs_on(
    sites: Sites, site: ClusterSite, fenced: Fenced, hub: str
) -> None:
    standing = f"standing-{next(sequence)}"
    run_hub(sites, standing)
    try:
        fenced.write(**{hub.replace("-", "_"): 8, standing.replace("-", "_"): None})
        until(lambda: fenced.ack()["seq"] == fenced.newest, "the fencer has taken it")
        os.kill(fenced.fencer.pid, signal.SIGKILL)
        site.write_lease(None)  # a boot empties the runtime directory
        (site.runtime / "ack.json").unlink()
        again = Fenced(site, site.start_fencer())
        try:
            until(lambda: not again.living(hub), "what was armed ends", 2 + ENDED_S + 4)
            assert len(again.living(standing)) == 2
        finally:
            os.kill(again.fencer.pid, signal.SIGKILL)
    finally:
        remove_namespace(sites.iu.api, standing)


def test_an_api_server_that_hangs_is_said_acknowledgements_go_on_and_then_it_is_ended(
    sites: Sites, fenced: Fenced, hub: str
) -> None:
    """A fencer that waited for it would acknowledge nothing, and every class would close."""
    api_server = sites.iu.daemons.running[KUBE_API].pid
    freeze(api_server)
    try:
        fenced.write(**{hub.replace("-", "_"): 0.5})
        ages = []
        began = time.monotonic()
        while time.monotonic() - began < 12:
            ages.append((fenced.here.clock.boottime_ns() - fenced.ack()["at"]) / S)
            time.sleep(0.1)
        assert max(ages) < 2, "the agent takes an older word for none"
        assert "does not answer" in fenced.ack()["blind"]
        assert fenced.said("fencer.unseen") != []
        assert fenced.said("history.fenced") == [], "nobody has seen it end"
    finally:
        os.kill(api_server, signal.SIGCONT)
    until(lambda: not fenced.living(hub), "it is ended as soon as it can be", 30)
    until(lambda: fenced.ack()["blind"] == "", "and it is well again", 20)


def test_on_a_node_that_does_not_answer_nothing_is_taken_for_gone(sites: Sites, fenced: Fenced, hub: str) -> None:
    kubelet = sites.iu.daemons.running["kubelet"].pid
    freeze(kubelet)
    try:
        fenced.write(**{hub.replace("-", "_"): 0.5})
        until(lambda: fenced.ack()["left"] != {}, "it says what is left")
        time.sleep(5)
        assert fenced.said("history.fenced") == []
        assert fenced.ack()["left"] == {hub: len(fenced.living(hub))}
    finally:
        os.kill(kubelet, signal.SIGCONT)
    until(lambda: not fenced.living(hub), "it is ended when the node is back", 30)


def test_it_is_small(fenced: Fenced) -> None:
    """No gRPC, and below 30 MiB, with what it takes to speak to a cluster."""
    status = Path(f"/proc/{fenced.fencer.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 30 * 1024, f"{resident} KiB"
    assert "grpc" not in Path(f"/proc/{fenced.fencer.pid}/maps").read_text()
