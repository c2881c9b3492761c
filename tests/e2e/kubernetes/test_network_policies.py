"""Clusters of the testbed do what NetworkPolicies say: without that no test could show that ours are right."""

from __future__ import annotations

import pytest

from tests.e2e.kubernetes.conftest import Sites, new_namespace
from tests.support.federation import until
from tests.testbed import pods
from tests.testbed.api import Api, Object
from tests.testbed.binaries import BUILT_S
from tests.testbed.reaching import reached

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

LISTENS = "echo hello > /tmp/index.html && httpd -f -p 8080 -h /tmp"
FRIENDS = {"podSelector": {"matchLabels": {"friend": "yes"}}}


def listening(api: Api, namespace: str) -> str:
    """The address of a pod that does."""
    path = pods.start(api, namespace, pods.pod("server", LISTENS))
    pods.wait(api, path, "Running")
    return str(api.get(path)["status"]["podIP"])


def policy(api: Api, namespace: str, **spec: object) -> None:
    body: Object = {"metadata": {"name": "some"}, "spec": spec}
    api.create(f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", body)


def test_only_friends_of_the_same_namespace_get_in(sites: Sites) -> None:
    api, here, other = sites.iu.api, new_namespace(sites.iu.api), new_namespace(sites.iu.api)
    server = (listening(api, here), 8080)

    def get_in(namespace: str, friend: str) -> bool:
        return reached(api, namespace, {"friend": friend}, server=server) == {"server"}

    assert get_in(here, "no"), "before there is a policy"
    allowed = [{"from": [FRIENDS], "ports": [{"port": 8080}]}]
    policy(api, here, podSelector={"matchLabels": {"app": "server"}}, ingress=allowed)
    until(lambda: not get_in(here, "no"), "the policy is in force", 30, lambda: "")
    assert get_in(here, "yes")
    assert not get_in(other, "yes")


def test_a_pod_that_may_not_go_out_reaches_neither_pods_nor_its_node_nor_the_api_server(sites: Sites) -> None:
    api, here, place = sites.iu.api, new_namespace(sites.iu.api), sites.iu.control.place
    everything = {
        "pod": (listening(api, here), 8080),
        "node": (place.address, place.api_port),
        "service": (place.api_service, 443),
    }
    assert reached(api, here, {"locked": "yes"}, **everything) == set(everything)
    policy(api, here, podSelector={"matchLabels": {"locked": "yes"}}, policyTypes=["Egress"], egress=[])
    locked_in = lambda: reached(api, here, {"locked": "yes"}, **everything) == set()  # noqa: E731 - called at once
    until(locked_in, "the policy is in force", 30, lambda: "")
    assert reached(api, here, {"locked": "no"}, **everything) == set(everything)
