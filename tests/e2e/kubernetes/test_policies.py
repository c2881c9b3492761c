"""Who reaches whom where a network enforces policies: those of our chart `classroom`, between pods of two classes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from tests.testbed.reaching import Target, reached

pytestmark = pytest.mark.timeout(BUILT_S)

HUB, PROXY, SERVER = 8081, 8000, 8888
COMPONENTS = {"server": "singleuser-server"}
SERVES = f"for port in {HUB} {PROXY} {SERVER}; do httpd -p $port -h /tmp; done; sleep 600"


@dataclass(frozen=True, slots=True)
class Class:
    """A namespace with a pod of each kind, which serves on all ports."""

    cluster: Cluster
    namespace: str

    def all(self) -> dict[str, Target]:
        """Where hub, proxy and a student's server are."""
        pods_of = {str(pod["metadata"]["name"]): pod for pod in self.cluster.api.items(paths.pods(self.namespace))}
        ports = {"hub": HUB, "proxy": PROXY, "server": SERVER}
        return {name: (str(pods_of[name]["status"]["podIP"]), port) for name, port in ports.items()}

    def reached_by_each(self, *who: str, **targets: Target) -> dict[str, set[str]]:
        """What a pod of each of these components, in this namespace, gets to."""

        def ask(one: str) -> set[str]:
            return reached(self.cluster.api, self.namespace, {"component": COMPONENTS.get(one, one)}, **targets)

        with ThreadPoolExecutor(len(who)) as pool:
            return dict(zip(who, pool.map(ask, who), strict=True))


def made(cluster: Cluster) -> Class:
    namespace = new_namespace(cluster.api)
    values = classroom_values(Given(classroom("atm101"), namespace, SitePart("iu", "10.255.255.1:8446")))
    for body in yaml.safe_load_all(render(CHARTS / "classroom", "classroom", namespace, values)):
        if body and body["kind"] == "NetworkPolicy":
            cluster.api.create(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", body)
    for name in ("hub", "proxy", "server"):
        body = pods.pod(name, SERVES)
        body["metadata"]["labels"] |= {"component": COMPONENTS.get(name, name)}
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


def test_in_a_class(classes: tuple[Class, Class]) -> None:
    here, _other = classes
    assert here.reached_by_each("server", "hub", "proxy", "user-placeholder", **here.all()) == {
        "server": {"hub", "proxy"},
        "hub": {"proxy", "server"},
        "proxy": {"hub", "server"},
        "user-placeholder": set(),
    }


def test_nobody_of_another_class_gets_in(classes: tuple[Class, Class]) -> None:
    here, other = classes
    who = ("server", "hub", "proxy", "nobody")
    assert other.reached_by_each(*who, **here.all()) == {one: set() for one in who}


def test_the_edge_reaches_the_proxy_and_nothing_else(classes: tuple[Class, Class], edge: str) -> None:
    here, _other = classes
    assert reached(here.cluster.api, edge, {EDGE: "iu"}, **here.all()) == {"proxy"}


def test_students_reach_neither_the_api_server_nor_their_node_and_the_hub_does(classes: tuple[Class, Class]) -> None:
    here, place = classes[0], classes[0].cluster.control.place
    private = {"api": (place.api_service, 443), "node": (place.address, place.api_port)}
    assert here.reached_by_each("server", "hub", **private) == {"server": set(), "hub": set(private)}
