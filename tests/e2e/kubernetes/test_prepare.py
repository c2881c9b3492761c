"""A bare cluster is brought to what its site file asks for: on a real API server, with small charts under the names of
the upstream ones. No pods run: what the charts bring is objects, definitions and classes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.drivers.kubernetes.preparing import KubernetesPreparing
from agents.drivers.kubernetes.releases import MARK
from agents.site_drivers import site_drivers
from federation.model.preparation import PreparePlan, PrepareStep
from federation.model.site_file import SiteFile
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from tests.support.chart_repository import digest, packed
from tests.support.federation import until
from tests.testbed import binaries
from tests.testbed.api import Object, Refused
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster, api_cluster
from tests.testbed.credentials import ADMIN

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

CEPH = "cephclusters.ceph.rook.io"
ANY_VALUES = {"values.schema.json": "{}"}
DEFINITION = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {CEPH}}}
spec:
  group: ceph.rook.io
  scope: Namespaced
  names: {{plural: cephclusters, singular: cephcluster, kind: CephCluster}}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
CLUSTER = """
apiVersion: ceph.rook.io/v1
kind: CephCluster
metadata: {name: rook-ceph}
status: {phase: Ready}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: ceph-block}
provisioner: rook-ceph.rbd.csi.ceph.com
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik}
spec: {controller: traefik.io/ingress-controller}
# {{ if .Values.hangs }}
---
apiVersion: batch/v1
kind: Job
metadata: {name: endless, annotations: {helm.sh/hook: pre-install}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: never, image: never}]}}}
# {{ end }}
"""
ARCHIVES = {
    "jupyterhub": packed("jupyterhub", "4.4.0"),
    "rook-ceph": packed("rook-ceph", "v1.20.6", {**ANY_VALUES, "templates/crd.yaml": DEFINITION}),
    "ceph-csi-drivers": packed("ceph-csi-drivers", "1.0.4", ANY_VALUES),
    "rook-ceph-cluster": packed("rook-ceph-cluster", "v1.20.6", {**ANY_VALUES, "templates/ceph.yaml": CLUSTER}),
    "traefik": packed("traefik", "41.6.0", {**ANY_VALUES, "templates/class.yaml": INGRESS}),
    "cert-manager": packed("cert-manager", "v1.21.1", ANY_VALUES),
}
VERSIONS = {
    "jupyterhub": "4.4.0", "rook-ceph": "v1.20.6", "ceph-csi-drivers": "1.0.4", "rook-ceph-cluster": "v1.20.6",
    "traefik": "41.6.0", "cert-manager": "v1.21.1",
}  # fmt: skip
PREPARED = [name for name in ARCHIVES if name != "jupyterhub"]
ALL: dict[str, Any] = {"storage": "rook", "ingress": "traefik", "cert_manager": True}


@dataclass
class Bare:
    """A cluster in which nothing is, a folder of charts, and a site file that asks for something."""

    cluster: Cluster
    folder: Path
    asked: dict[str, Any] = field(default_factory=lambda: dict(ALL))

    def __post_init__(self) -> None:
        charts = self.folder / "charts"
        charts.mkdir()
        for name, content in ARCHIVES.items():
            (charts / f"{name}-{VERSIONS[name]}.tgz").write_bytes(content)

    @asynccontextmanager
    async def agent(self, **asked: Any) -> AsyncIterator[KubernetesPreparing]:
        """Of an agent that has just started with this file."""
        binaries.helm()
        digests = {name: digest(ARCHIVES[name]) for name in PREPARED}
        spec = {
            "kind": "kubernetes",
            "cluster": {"kubeconfig": str(self.admin), "charts": str(self.folder / "charts")},
            "prepare": {"kubeconfig": str(self.admin), "digests": digests, **self.asked, **asked},
        }
        body = {"apiVersion": "hubfed/v1", "kind": "Site", "metadata": {"name": "iu"}, "spec": spec}
        drivers = site_drivers(SiteFile.model_validate(body), self.folder, self.folder, self.folder, SystemClock())
        assert isinstance(drivers.preparing, KubernetesPreparing)
        try:
            yield drivers.preparing
        finally:
            await drivers.preparing.close()
            await drivers.hubs.close()

    @property
    def admin(self) -> Path:
        return self.cluster.control.files.kubeconfig(ADMIN)

    def create_nodes(self, count: int) -> None:
        for number in range(count):
            labels = {"hubfed.io/storage": "true"}
            ready = {"type": "Ready", "status": "True", "reason": "Test", "message": ""}
            body = {"metadata": {"name": f"s{number}", "labels": labels}, "status": {"conditions": [ready]}}
            self.cluster.api.create("/api/v1/nodes", body)

    def helms(self) -> list[int]:
        """Pids of those that change something."""
        marks = {"HUBFED_DIR": os.environ.get("HUBFED_DIR", str(self.folder))}
        return [found.pid for found in SystemProcesses(SystemClock()).find(marks) if MARK in found.marks]

    def found(self, path: str) -> Object | None:
        with suppress(Refused):
            return self.cluster.api.get(path)
        return None


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    with api_cluster() as cluster:
        yield Bare(cluster, tmp_path)


def actions(plan: PreparePlan) -> dict[str, str]:
    return {item.chart: item.action.value for item in plan.items}


async def applied(preparing: KubernetesPreparing) -> list[PrepareStep]:
    return [step async for step in preparing.apply(await preparing.plan())]


async def test_from_bare_to_prepared_and_then_there_is_nothing_to_do(bare: Bare) -> None:
    async with bare.agent() as preparing:
        plan = await preparing.plan()
        assert actions(plan) == dict.fromkeys(PREPARED, "install")
        assert [one.at for one in plan.objections] == ["spec.prepare.storage"], "there are no nodes"
        bare.create_nodes(3)
        await asyncio.to_thread(until, lambda: untainted(bare) == 3, "the nodes take pods")
        steps = await applied(preparing)
        assert [step.chart for step in steps if step.state == "done"] == PREPARED, steps
        assert await preparing.plan() == (again := await preparing.plan())
        assert (actions(again), again.objections) == (dict.fromkeys(PREPARED, "keep"), ())
    assert bare.found(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CEPH}") is not None
    assert bare.found("/apis/storage.k8s.io/v1/storageclasses/ceph-block") is not None
    labels = bare.cluster.api.get("/api/v1/namespaces/rook-ceph")["metadata"]["labels"]
    assert (labels["hubfed.io/prepared"], labels["pod-security.kubernetes.io/enforce"]) == ("iu", "privileged")
    async with bare.agent(values={"traefik": {"more": []}}) as preparing:  # the next agent, with one value changed
        assert actions(await preparing.plan())["traefik"] == "upgrade"
        assert [step.state for step in await applied(preparing)] == ["begun", "done"]


def untainted(bare: Bare) -> int:
    return sum(not node["spec"].get("taints") for node in bare.cluster.api.items("/api/v1/nodes"))


async def test_a_helm_that_is_killed_in_the_middle_is_repaired_by_the_next_order(bare: Bare) -> None:
    bare.asked = {"ingress": "traefik"}
    async with bare.agent(values={"traefik": {"hangs": True}}) as preparing:
        task = asyncio.ensure_future(applied(preparing))
        job = "/apis/batch/v1/namespaces/traefik/jobs/endless"
        await asyncio.to_thread(until, lambda: bare.found(job) is not None, "Helm waits for its hook")
        for pid in bare.helms():
            os.kill(pid, signal.SIGKILL)
        steps = await task
        assert [step.state for step in steps] == ["begun", "failed"]
        assert "was killed" in steps[-1].message
    async with bare.agent() as preparing:
        assert actions(await preparing.plan()) == {"traefik": "repair"}
        assert [step.state for step in await applied(preparing)] == ["begun", "done"]
        assert actions(await preparing.plan()) == {"traefik": "keep"}


async def test_an_ingress_controller_of_somebody_else_is_left_alone(bare: Bare) -> None:
    bare.asked = {"ingress": "traefik"}
    classes = "/apis/networking.k8s.io/v1/ingressclasses"
    bare.cluster.api.create(classes, {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}})
    async with bare.agent() as preparing:
        plan = await preparing.plan()
        assert (actions(plan), plan.objections) == ({"traefik": "leave"}, ())
        assert "k8s.io/ingress-nginx (class nginx)" in plan.items[0].reason
        assert await applied(preparing) == []
    assert bare.found("/api/v1/namespaces/traefik") is None


async def test_an_account_without_the_rights_is_refused_with_those_that_are_missing(bare: Bare) -> None:
    bare.asked = {"ingress": "traefik"}
    named = str(account(bare, "reader", ["nodes", "namespaces", "secrets"]))
    async with bare.agent(kubeconfig=named) as preparing:
        plan = await preparing.plan()
        said = [one.wrong for one in plan.objections]
        assert plan.items == ()
        assert "the right to look is missing: list ingressclasses.networking.k8s.io" in said
        assert not any("list nodes" in one for one in said)
    named = str(account(bare, "looker", ["*"]))
    async with bare.agent(kubeconfig=named) as preparing:
        plan = await preparing.plan()
        said = [one.wrong for one in plan.objections]
        assert actions(plan) == {"traefik": "install"}
        assert "the right to install is missing: create ingressclasses.networking.k8s.io" in said
        assert "the right to install is missing: escalate clusterroles.rbac.authorization.k8s.io" in said
    assert bare.found("/api/v1/namespaces/traefik") is None


def account(bare: Bare, name: str, resources: list[str]) -> Path:
    """A kubeconfig of an account that may only look, at these."""
    api, rules = bare.cluster.api, "/apis/rbac.authorization.k8s.io/v1"
    api.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": name}})
    rule = {"apiGroups": ["*"], "resources": resources, "verbs": ["get", "list"]}
    api.create(f"{rules}/clusterroles", {"metadata": {"name": name}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    api.create(f"{rules}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    path = f"/api/v1/namespaces/default/serviceaccounts/{name}/token"
    issued = api.create(path, {"spec": {"expirationSeconds": 3600}})
    content = yaml.safe_load(bare.admin.read_text())
    content["users"][0]["user"] = {"token": issued["status"]["token"]}
    file = bare.folder / f"{name}.kubeconfig"
    file.write_text(json.dumps(content))
    until(lambda: may_list(bare, issued["status"]["token"], resources[0]), "the rule is in force", 20)
    return file


def may_list(bare: Bare, token: str, resource: str) -> bool:
    body = {"spec": {"resourceAttributes": {"verb": "list", "resource": "nodes" if resource == "*" else resource}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool(bare.cluster.control.api_as(token).create(path, body)["status"]["allowed"])


async def test_an_archive_that_is_not_the_pinned_one_is_refused(bare: Bare) -> None:
    bare.asked = {"ingress": "traefik"}
    async with bare.agent(digests={}) as preparing:  # then the digests are those of the real charts
        [objection] = (await preparing.plan()).objections
        assert f"traefik-41.6.0.tgz is {digest(ARCHIVES['traefik'])}; wanted is sha256:" in objection.wrong
