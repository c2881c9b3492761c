"""A plan step by step, on a cluster that is a dictionary: what is asked of it, in which order, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from agents.drivers.kubernetes.helm_words import HelmFailed, Trouble
from agents.drivers.kubernetes.preparing import KubernetesPreparing
from agents.drivers.kubernetes.release import Release, Status
from federation.model.errors import Conflict, DriverError
from federation.model.preparation import PreparePlan, PrepareStep
from federation.model.site_prepare import Prepare
from federation.runtime.chart_archives import shipped_pins
from federation.runtime.settings_files import load_upstream
from tests.support.chart_repository import digest, packed
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime

CHARTS = {"traefik": packed("traefik", "41.6.0"), "cert-manager": packed("cert-manager", "v1.21.1")}
VERSIONS = {"traefik": "41.6.0", "cert-manager": "v1.21.1"}
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/certificates.cert-manager.io"
READY_S = 60.0


@dataclass
class Cluster:
    """What is asked of `Api` and `Releases`. `lacks`: rights. `late`: seconds until a chart's Deployment
    or the definition is up. `broken`: charts that Helm does not install."""

    clock: VirtualClock
    kubeconfig: Path = Path("prepare.kubeconfig")
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    lacks: set[str] = field(default_factory=set)
    late: dict[str, float] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    silent: bool = False
    done: list[str] = field(default_factory=list)
    installed_mono: dict[str, float] = field(default_factory=dict)

    # --- as Api

    async def get(self, path: str) -> dict[str, Any] | None:
        if self.silent:
            raise DriverError("the cluster's API server does not answer")
        if path == "/version":
            return {"gitVersion": "v1.35.4"}
        if path == DEFINITION and "cert-manager" in self.installed_mono:
            up = self._is_up("definition")
            return {"status": {"conditions": [{"type": "Established", "status": "True" if up else "False"}]}}
        return self.objects.get(path)

    async def items(self, path: str, *, labels: str = "") -> list[dict[str, Any]]:
        chart = path.split("/")[-2] if path.endswith("/deployments") else ""
        if chart not in self.installed_mono:
            return []
        up = int(self._is_up(chart))
        meta = {"name": chart, "annotations": {"meta.helm.sh/release-name": chart}}
        return [{"metadata": meta, "spec": {}, "status": {"updatedReplicas": 1, "readyReplicas": up}}]

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.silent:
            raise DriverError("the cluster's API server does not answer")
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.lacks}}

    async def apply(self, *words: Any, **named: Any) -> Any:
        """Of both: an object at a path, or a release."""
        if "description" not in named:
            path, body = words
            self.objects[path] = body
            self.done.append(f"namespace {body['metadata']['name']}")
            return body
        namespace, name, chart, _values = words
        if name in self.broken:
            raise HelmFailed(Trouble.HOOK, f"{name} cannot be brought to {namespace}")
        self.done.append(f"install {name}")
        self.installed_mono[name] = self.clock.mono()
        revision = self.releases[name].revision + 1 if name in self.releases else 1
        made = Release(namespace, name, revision, Status.DEPLOYED, Path(chart).stem, named["description"])
        self.releases[name] = made
        return made

    async def close(self) -> None:
        pass

    def _is_up(self, what: str) -> bool:
        since = self.installed_mono["cert-manager" if what == "definition" else what]
        return self.clock.mono() - since >= self.late.get(what, 0.0)


@dataclass
class OfCluster:
    """Its releases."""

    cluster: Cluster

    async def get(self, namespace: str, name: str) -> Release | None:
        return self.cluster.releases.get(name)

    async def apply(self, *words: Any, **named: Any) -> Release:
        made: Release = await self.cluster.apply(*words, **named)
        return made

    async def render(self, namespace: str, name: str, *_words: Any, **_named: Any) -> tuple[dict[str, Any], ...]:
        one = {"kind": "CustomResourceDefinition", "metadata": {"name": DEFINITION.rpartition("/")[2]}}
        return (one,) if name == "cert-manager" else ()


@pytest.fixture
def here(tmp_path: Path) -> tuple[Cluster, KubernetesPreparing]:
    for name, content in CHARTS.items():
        (tmp_path / f"{name}-{VERSIONS[name]}.tgz").write_bytes(content)
    cluster = Cluster(VirtualClock())
    digests = {name: digest(content) for name, content in CHARTS.items()}
    prepare = Prepare.model_validate({"ingress": "traefik", "cert_manager": True, "digests": digests})
    api, releases = cast(Any, cluster), cast(Any, OfCluster(cluster))
    pins = load_upstream(shipped_pins())
    return cluster, KubernetesPreparing("iu", prepare, pins, tmp_path, api, releases, cluster.clock, READY_S)


async def applied(preparing: KubernetesPreparing, plan: PreparePlan | None = None) -> list[PrepareStep]:
    return [step async for step in preparing.apply(plan or await preparing.plan())]


def told(steps: list[PrepareStep]) -> list[str]:
    return [f"{step.chart} {step.state.value}" for step in steps]


async def test_each_chart_has_its_namespace_marked_first_and_is_up_before_the_next_is_begun(
    here: tuple[Cluster, KubernetesPreparing],
) -> None:
    cluster, preparing = here
    cluster.late = {"traefik": 5.0, "definition": 3.0}
    steps = await applied(preparing)
    assert told(steps) == [f"{name} {state}" for name in CHARTS for state in ("begun", "waiting", "done")]
    assert "0 of 1 are up" in steps[1].message
    assert "certificates.cert-manager.io is not established" in steps[4].message
    assert cluster.done == ["namespace traefik", "install traefik", "namespace cert-manager", "install cert-manager"]
    assert cluster.objects["/api/v1/namespaces/traefik"]["metadata"]["labels"] == {"hubfed.io/prepared": "iu"}
    assert {item.action.value for item in (await preparing.plan()).items} == {"keep"}


async def test_what_does_not_come_up_fails_and_the_next_plan_waits_for_it(
    here: tuple[Cluster, KubernetesPreparing],
) -> None:
    cluster, preparing = here
    cluster.late = {"traefik": 2 * READY_S}
    steps = await applied(preparing)
    assert told(steps)[-2:] == ["traefik failed", "cert-manager skipped"]
    assert "not up: Deployment traefik: 0 of 1 are up" in steps[-2].message
    again = await preparing.plan()
    assert [item.action.value for item in again.items] == ["wait", "install"]
    await cluster.clock.sleep(READY_S)
    assert told(await applied(preparing))[-1] == "cert-manager done"
    assert cluster.done.count("install traefik") == 1, "it is not installed twice"


async def test_what_helm_refuses_is_said_and_ends_it(here: tuple[Cluster, KubernetesPreparing]) -> None:
    cluster, preparing = here
    cluster.broken = {"traefik"}
    steps = await applied(preparing)
    assert told(steps) == ["traefik begun", "traefik failed", "cert-manager skipped"]
    assert "cannot be brought to traefik" in steps[1].message


async def test_a_plan_that_is_not_the_newest_is_not_carried_out(here: tuple[Cluster, KubernetesPreparing]) -> None:
    _cluster, preparing = here
    old = (await preparing.plan()).revise(fingerprint="another")
    with pytest.raises(Conflict):
        await applied(preparing, old)


async def test_rights_that_are_missing_are_named_before_anything_else_is_looked_at(
    here: tuple[Cluster, KubernetesPreparing],
) -> None:
    cluster, preparing = here
    cluster.lacks = {"escalate clusterroles", "create secrets"}
    said = [one.wrong for one in (await preparing.plan()).objections]
    assert sorted(said) == [
        "the right to install is missing: create secrets",
        "the right to install is missing: escalate clusterroles.rbac.authorization.k8s.io",
    ]
    cluster.lacks = {"list nodes"}
    plan = await preparing.plan()
    assert ([one.wrong for one in plan.objections], plan.items) == (["the right to look is missing: list nodes"], ())


async def test_a_cluster_that_does_not_answer_is_said_with_as_whom_it_was_asked(
    here: tuple[Cluster, KubernetesPreparing],
) -> None:
    cluster, preparing = here
    cluster.silent = True
    with pytest.raises(DriverError, match=r"as prepare\.kubeconfig: the cluster's API server does not answer"):
        await preparing.plan()
