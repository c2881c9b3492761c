"""Clusters of the testbed do what NetworkPolicies say: without that no test could show that ours are right."""

from __future__ import annotations

import pytest

from tests.e2e.kubernetes.conftest import Sites, new_namespace, remove_namespace
from tests.support.federation import until
from tests.testbed import pods
from tests.testbed.api import Api, Object
from tests.testbed.binaries import BUILT_S
from tests.testbed.reaching import CLOSED, OPEN, reaches

pytestmark = pytest.mark.timeout(BUILT_S)

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
    server = listening(api, here)
    assert reaches(api, here, server, 8080, friend="no") == OPEN, "before there is a policy"
    allowed = [{"from": [FRIENDS], "ports": [{"port": 8080}]}]
    policy(api, here, podSelector={"matchLabels": {"app": "server"}}, ingress=allowed)
    until(lambda: reaches(api, here, server, 8080, friend="no") == CLOSED, "the policy is in force", 30, lambda: "")
    assert reaches(api, here, server, 8080, friend="yes") == OPEN
    assert reaches(api, other, server, 8080, friend="yes") == CLOSED
    for namespace in (here, other):
        remove_namespace(api, namespace)


def test_a_pod_that_may_not_go_out_reaches_neither_pods_nor_its_node_nor_the_api_server(sites: Sites) -> None:
    api, here = sites.iu.api, new_namespace(sites.iu.api)
    server, node = listening(api, here), sites.net.address("iu")
    port, service = sites.iu.control.place.api_port, sites.iu.control.place.api_service
    assert reaches(api, here, service, 443, locked="yes") == OPEN
    policy(api, here, podSelector={"matchLabels": {"locked": "yes"}}, policyTypes=["Egress"], egress=[])
    until(lambda: reaches(api, here, server, 8080, locked="yes") == CLOSED, "the policy is in force", 30, lambda: "")
    assert reaches(api, here, node, port, locked="yes") == CLOSED
    assert reaches(api, here, service, 443, locked="yes") == CLOSED
    assert reaches(api, here, server, 8080, locked="no") == OPEN
    remove_namespace(api, here)
