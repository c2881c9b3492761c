"""What is applied for an edge in a cluster. That it is an edge is seen on a real one (tests/e2e/kubernetes)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.drivers.kubernetes.edge_objects import AskedAgent, EdgeObjects, ProxyImage, canary_namespace, canary_pod
from agents.drivers.kubernetes.marks import CLASSROOM, EDGE, HUB, SITE
from federation.core.fencing import canary_of

IMAGE = ProxyImage("quay.example.edu/proxy:5")
AGENT = AskedAgent("https://10.0.0.5:8446/lease", "u1.iu.agent.hubfed", "-- a certificate --")
OBJECTS = EdgeObjects("iu", IMAGE, AGENT, {"launcher.mjs": "// programs"})
DEPLOYMENT = "/apis/apps/v1/namespaces/hubfed-iu/deployments/edge"
SERVICE = "/api/v1/namespaces/hubfed-iu/services/edge"


def pod(objects: EdgeObjects) -> dict[str, Any]:
    template: dict[str, Any] = objects.all()[DEPLOYMENT]["spec"]["template"]
    return template


def test_the_namespace_comes_first_and_each_object_is_at_its_path() -> None:
    paths = list(OBJECTS.all())
    assert paths[0] == "/api/v1/namespaces/hubfed-iu"
    for path, body in OBJECTS.all().items():
        assert path.endswith(f"/{body['metadata']['name']}")
        assert body["metadata"]["labels"][EDGE] == "iu"


def test_it_asks_this_agent_and_no_other() -> None:
    [container] = pod(OBJECTS)["spec"]["containers"]
    words = container["command"]
    given = {word: words[n + 1] for n, word in enumerate(words) if word.startswith("--")}
    assert given["--ask"] == AGENT.url
    assert given["--name"] == AGENT.name
    assert OBJECTS.all()["/api/v1/namespaces/hubfed-iu/configmaps/edge"]["data"]["ca.pem"] == AGENT.ca
    assert given["--ca"].endswith("/ca.pem")


def test_new_programs_or_authorities_make_new_pods_and_nothing_else_does() -> None:
    before = pod(OBJECTS)
    assert pod(replace(OBJECTS, node_port=80)) == before
    assert pod(replace(OBJECTS, programs={"launcher.mjs": "// others"})) != before
    assert pod(replace(OBJECTS, agent=replace(AGENT, ca="-- another --"))) != before


@pytest.mark.parametrize(("port", "kind"), [(0, "ClusterIP"), (30080, "NodePort")])
def test_students_reach_it_at_a_port_of_every_node_if_the_site_says_which(port: int, kind: str) -> None:
    spec = replace(OBJECTS, node_port=port).all()[SERVICE]["spec"]
    assert spec["type"] == kind
    assert spec["ports"][0].get("nodePort", 0) == port


def test_no_pod_may_do_more_than_it_has_to() -> None:
    for spec in (pod(OBJECTS)["spec"], canary_pod("canary-1", IMAGE)["spec"]):
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        [container] = spec["containers"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_canary_is_found_as_a_hub_is_and_is_no_class() -> None:
    labels = canary_namespace("iu", canary_of("iu"))["metadata"]["labels"]
    assert (labels[SITE], labels[HUB]) == ("iu", "canary-iu")
    assert CLASSROOM not in labels


def test_the_image_is_the_one_of_the_hubs_proxy() -> None:
    image = {"name": "localhost/proxy", "tag": "1", "pullPolicy": "Never"}
    assert ProxyImage.of({"proxy": {"chp": {"image": image}}}) == ProxyImage("localhost/proxy:1", "Never")
    assert ProxyImage.of({"proxy": {"chp": {"image": {**image, "pullPolicy": ""}}}}).pull == "IfNotPresent"
    with pytest.raises(KeyError):
        ProxyImage.of({"proxy": {}})
