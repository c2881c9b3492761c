"""Who reaches whom where a network enforces policies: those of our chart `classroom`, between pods of two classes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import EDGE
from federation.core.chart_values.row import Given, SitePart
from federation.core.chart_values.table import classroom_values
from tests.e2e.kubernetes.conftest import Sites, new_namespace, remove_namespace
from tests.support.classrooms import classroom
from tests.testbed import pods
from tests.testbed.api import Api
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.own_charts import CHARTS, render

pytestmark = [
    pytest.mark.timeout(BUILT_S),
    pytest.mark.skip(reason="the testbed's nodes do not enforce policies yet"),
]

ENFORCED_S = 3  # a pod is there before its rules are
HUB, PROXY, SERVER = 8081, 8000, 8888
SERVES = f"for port in {HUB} {PROXY} {SERVER}; do httpd -p $port -h /tmp; done; sleep 600"


@dataclass(frozen=True, slots=True)
class Class:
    """A namespace with a pod of each kind, which serves on all ports."""

    cluster: Cluster
    namespace: str

    def address(self, component: str) -> str:
        return str(self.cluster.api.get(f"{paths.pods(self.namespace)}/{component}")["status"]["podIP"])


def reaches(cluster: Cluster, namespace: str, labels: dict[str, str], address: str, port: int) -> bool:
    """Whether a pod with these labels, in this namespace, opens a connection to it."""
    name = f"asks-{time.monotonic_ns()}"
    script = f"sleep {ENFORCED_S}; nc -w 2 {address} {port} </dev/null && echo open || echo shut"
    body = pods.pod(name, script)
    body["metadata"]["labels"] |= labels
    return pods.run(cluster.api, namespace, body).strip() == "open"


def made(cluster: Cluster) -> Class:
    namespace = new_namespace(cluster.api)
    values = classroom_values(Given(classroom("atm101"), namespace, SitePart("iu", "10.255.255.1:8446")))
    for body in yaml.safe_load_all(render(CHARTS / "classroom", "classroom", namespace, values)):
        if body and body["kind"] == "NetworkPolicy":
            cluster.api.create(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", body)
    for component in ("hub", "proxy", "singleuser-server"):
        body = pods.pod(component, SERVES)
        body["metadata"]["labels"] |= {"component": component}
        pods.wait(cluster.api, pods.start(cluster.api, namespace, body), "Running")
    return Class(cluster, namespace)


@pytest.fixture(scope="module")
def classes(sites: Sites) -> Iterator[tuple[Class, Class]]:
    one, other = made(sites.iu), made(sites.iu)
    yield one, other
    for each in (one, other):
        remove_namespace(sites.iu.api, each.namespace)


@pytest.fixture(scope="module")
def edge(sites: Sites) -> Iterator[str]:
    """A namespace as that of the site's edge."""
    name = new_namespace(sites.iu.api)
    _label(sites.iu.api, name)
    yield name
    remove_namespace(sites.iu.api, name)


def _label(api: Api, namespace: str) -> None:
    labels = {"metadata": {"labels": {EDGE: "iu"}}}
    api.call("PATCH", paths.namespace(namespace), labels, "application/merge-patch+json")


@pytest.mark.parametrize(
    ("who", "whom", "port", "is_open"),
    [
        ("singleuser-server", "hub", HUB, True),
        ("singleuser-server", "proxy", PROXY, True),
        ("singleuser-server", "singleuser-server", SERVER, False),
        ("hub", "singleuser-server", SERVER, True),
        ("proxy", "singleuser-server", SERVER, True),
        ("proxy", "hub", HUB, True),
        ("user-placeholder", "hub", HUB, False),
    ],
)
def test_in_a_class(classes: tuple[Class, Class], who: str, whom: str, port: int, is_open: bool) -> None:
    here, _other = classes
    assert reaches(here.cluster, here.namespace, {"component": who}, here.address(whom), port) is is_open


@pytest.mark.parametrize("who", ["singleuser-server", "hub", "proxy", "nobody"])
@pytest.mark.parametrize(("whom", "port"), [("hub", HUB), ("proxy", PROXY), ("singleuser-server", SERVER)])
def test_nobody_of_another_class_gets_in(classes: tuple[Class, Class], who: str, whom: str, port: int) -> None:
    here, other = classes
    assert not reaches(other.cluster, other.namespace, {"component": who}, here.address(whom), port)


def test_the_edge_reaches_the_proxy_and_nothing_else(classes: tuple[Class, Class], edge: str) -> None:
    here, _other = classes
    found = {
        whom: reaches(here.cluster, edge, {EDGE: "iu"}, here.address(whom), port)
        for whom, port in (("hub", HUB), ("proxy", PROXY), ("singleuser-server", SERVER))
    }
    assert found == {"hub": False, "proxy": True, "singleuser-server": False}


def test_students_do_not_reach_the_api_server_and_the_hub_does(classes: tuple[Class, Class]) -> None:
    here, _other = classes
    service = here.cluster.api.get(paths.service("default", "kubernetes"))["spec"]["clusterIP"]
    found = {
        who: reaches(here.cluster, here.namespace, {"component": who}, service, 443)
        for who in ("singleuser-server", "hub")
    }
    assert found == {"singleuser-server": False, "hub": True}
