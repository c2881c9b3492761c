"""What surrounds a hub, brought by an agent with the rights that ours has, at a real API server: what it refuses, and what
it lets through. Pods are there and never run; one is said to run where that matters."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.hub_record import HubNamespace, HubRecord
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.release_records import ReleaseRecords
from agents.drivers.kubernetes.releases import Releases
from agents.drivers.kubernetes.surroundings import RELEASE, Surroundings
from agents.drivers.kubernetes.watches import Watches
from federation.core.chart_values.row import Given, SitePart
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from tests.e2e.kubernetes.conftest import remove_namespace
from tests.support.classrooms import classroom
from tests.support.federation import until
from tests.support.local_site import E1
from tests.testbed import binaries
from tests.testbed.accounts import account
from tests.testbed.api import Object, Refused
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

SITE = SitePart("iu", "10.0.0.5:8446")
MERGE = "application/merge-patch+json"


@dataclass
class Bench:
    """A namespace of a hub, and an agent that surrounds it."""

    cluster: Cluster
    api: Api
    namespaces: Namespaces
    around: Surroundings
    hub: str

    async def bring(self, **spec: Any) -> None:
        await self.around.bring(await self.place(), Given(classroom("atm101", **spec), self.hub, SITE))

    async def place(self) -> HubNamespace:
        found = await self.namespaces.look(self.hub)
        assert found is not None
        return found

    def revisions(self) -> int:
        return len(self.cluster.api.items(paths.secrets(self.hub), labelSelector=f"owner=helm,name={RELEASE}"))

    def create(self, kind: str, body: Object) -> Object:
        return self.cluster.api.create(f"{paths.namespace(self.hub)}/{kind}", body)

    def pod(self, name: str, component: str, *, priority: bool = True, **container: Any) -> Object:
        spec: Object = {"containers": [{"name": "main", "image": "none", **container}]}
        if priority:
            spec["priorityClassName"] = f"{self.hub}-default-priority"
        return self.create("pods", {"metadata": {"name": name, "labels": {"component": component}}, "spec": spec})


@pytest_asyncio.fixture
async def bench(api_only: Cluster, tmp_path: Path) -> AsyncIterator[Bench]:
    clock = SystemClock()
    kubeconfig = account(api_only, "agent", tmp_path)
    api = Api("iu", kubeconfig)
    releases = Releases(
        binaries.helm(), kubeconfig, ReleaseRecords(api), tmp_path / "helm", SystemProcesses(clock), clock,
        {"HUBFED_DIR": str(tmp_path)},
    )  # fmt: skip
    hub = f"atm101-{secrets.token_hex(3)}"
    watches = Watches.of(api, clock, Random(1))
    namespaces = Namespaces("iu", api, watches.namespaces)
    await namespaces.write(await namespaces.to_write_on(hub), record=HubRecord(epoch=E1, generation=1))
    priority = {"metadata": {"name": f"{hub}-default-priority"}, "value": 0}
    api_only.api.create("/apis/scheduling.k8s.io/v1/priorityclasses", priority)
    around = Surroundings(Chart.own("classroom"), api, namespaces, releases, clock)
    made = Bench(api_only, api, namespaces, around, hub)
    until(lambda: _has_account(api_only, hub), "pods have an account", 20)
    await made.bring()
    yield made
    await watches.close()
    await api.close()
    remove_namespace(api_only.api, hub)
    api_only.api.delete(f"/apis/scheduling.k8s.io/v1/priorityclasses/{hub}-default-priority")


def _has_account(cluster: Cluster, hub: str) -> bool:
    return any(
        one["metadata"]["name"] == "default" for one in cluster.api.items(f"{paths.namespace(hub)}/serviceaccounts")
    )


async def test_it_is_brought_once_and_again_only_if_something_changed(bench: Bench) -> None:
    assert bench.revisions() == 1
    await bench.bring()
    assert bench.revisions() == 1
    await bench.bring(roster={"expected": 11, "admins": ["ann"]})
    assert bench.revisions() == 2
    assert (await bench.place()).record == HubRecord(epoch=E1, generation=1), "what is written of the hub is as it was"


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
async def test_a_class_has_no_address_and_no_port_of_nodes(bench: Bench, kind: str) -> None:
    spec: Object = {"ports": [{"port": 80}], "selector": {"a": "b"}}
    with pytest.raises(Refused, match="exceeded quota: classroom"):
        bench.create("services", {"metadata": {"name": "out"}, "spec": {**spec, "type": kind}})
    bench.create("services", {"metadata": {"name": "in"}, "spec": spec})


async def test_servers_are_bounded_and_no_other_pod_takes_their_place(bench: Bench) -> None:
    await bench.bring(limits={"active_servers": 1})  # twice that, and twenty
    for number in range(30):
        bench.pod(f"puller-{number}", "continuous-image-puller", priority=False)
    for number in range(22):
        bench.pod(f"jupyter-{number}", "singleuser-server")
    with pytest.raises(Refused, match="exceeded quota: classroom-servers"):
        bench.pod("jupyter-22", "singleuser-server")


async def test_two_restores_in_a_row_fit(bench: Bench) -> None:
    """Before the start that raises the bound: all homes of a class of ten, twice more, and as many that nobody expects."""
    hard = bench.cluster.api.get(f"{paths.quotas(bench.hub)}/classroom")["status"]["hard"]
    assert int(hard["persistentvolumeclaims"]) > 3 * 2 * 11


async def test_a_container_that_says_nothing_has_a_limit_and_asks_for_next_to_nothing(bench: Bench) -> None:
    silent = bench.pod("silent", "hub")["spec"]["containers"][0]["resources"]
    assert silent == {"limits": {"memory": "8Gi"}, "requests": {"memory": "4Mi"}}
    said = {"limits": {"memory": "2Gi", "cpu": "2"}, "requests": {"memory": "1Gi", "cpu": "1"}}
    assert bench.pod("told", "singleuser-server", resources=said)["spec"]["containers"][0]["resources"] == said


@pytest.mark.parametrize("component", ["singleuser-server", "hub", "proxy"])
async def test_who_works_is_not_evicted(bench: Bench, component: str) -> None:
    if component == "singleuser-server":
        bench.pod("it", component)
    else:
        template = {
            "metadata": {"labels": {"component": component}},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        }
        spec = {"replicas": 1, "selector": {"matchLabels": {"component": component}}, "template": template}
        bench.cluster.api.create(paths.deployments(bench.hub), {"metadata": {"name": component}, "spec": spec})
    pods = paths.pods(bench.hub)
    until(lambda: bool(bench.cluster.api.items(pods)), "it is made", 20)
    name = bench.cluster.api.items(pods)[0]["metadata"]["name"]
    running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    bench.cluster.api.call("PATCH", f"{pods}/{name}/status", {"status": running}, MERGE)
    budget = f"/apis/policy/v1/namespaces/{bench.hub}/poddisruptionbudgets/"
    budget += "classroom-servers" if component == "singleuser-server" else f"classroom-{component}"
    until(lambda: bench.cluster.api.get(budget).get("status", {}).get("currentHealthy") == 1, "it is counted", 20)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": bench.hub}}
    with pytest.raises(Refused) as refused:
        bench.cluster.api.create(f"{pods}/{name}/eviction", eviction)
    assert refused.value.status == 429


async def test_the_policies_are_there_and_the_first_one_closes_every_pod(bench: Bench) -> None:
    found = bench.cluster.api.items(f"/apis/networking.k8s.io/v1/namespaces/{bench.hub}/networkpolicies")
    by_name = {one["metadata"]["name"]: one["spec"] for one in found}
    parts = {"classroom", *(f"classroom-{part}" for part in ("hub", "proxy", "servers", "copies"))}
    assert by_name.keys() == parts
    assert by_name["classroom"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
