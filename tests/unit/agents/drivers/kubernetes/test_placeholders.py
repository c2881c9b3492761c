"""What keeps nodes in a cluster, and which nodes can be kept. It is seen to work on a real one (tests/e2e/kubernetes)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.drivers.base import Capacity
from agents.drivers.cluster_kubernetes import student_nodes
from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.edge_objects import ProxyImage
from agents.drivers.kubernetes.marks import EDGE, HUB, PLACEHOLDER, SITE
from agents.drivers.kubernetes.node_room import TOLERATED, node_refusal
from agents.drivers.kubernetes.placeholders import PRIORITY_CLASS, deployment, priority_class
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.kubernetes.student_nodes import StudentNodes
from federation.core.chart_values.row import SitePart
from federation.core.room import Size
from federation.model.scalars import TESTER
from tests.unit.agents.drivers.kubernetes.test_node_room import GIB, node
from tests.unit.agents.drivers.kubernetes.test_node_room import pod as plain_pod

Object = dict[str, Any]
CHARTS = Path(__file__).resolve().parents[4] / "charts"
SHAPE, RESERVE = Size(7500, 28 * GIB), Capacity(500, 3 * GIB // 2)
WHERE = StudentNodes({"group": "mediums"})
MADE = deployment("iu", 3, SHAPE, ProxyImage("quay.example.edu/proxy:5"), WHERE)
TEMPLATE = MADE["spec"]["template"]


def pod(on: str, *asked: tuple[str, str], namespace: str = "kube-system", **labels: str) -> Object:
    made = plain_pod(*asked)
    made["metadata"] = {"name": "p", "namespace": namespace, "labels": labels}
    made["spec"]["nodeName"] = on
    return made


def server(on: str, user: str = "s01") -> Object:
    made = pod(on, ("1", "4Gi"), namespace="atm101-abc123", component="singleuser-server")
    made["metadata"]["annotations"] = {"hub.jupyter.org/username": user}
    return made


def named(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {**node(**spec), "metadata": {"name": name, "labels": labels or {"group": "mediums"}}}


def test_each_asks_for_a_whole_node_and_gives_way_to_everybody() -> None:
    [container] = TEMPLATE["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "7500m", "memory": str(28 * GIB)}}
    assert MADE["spec"]["replicas"] == 3
    assert TEMPLATE["spec"]["priorityClassName"] == PRIORITY_CLASS == priority_class()["metadata"]["name"]
    assert priority_class()["value"] == -10, "below students' servers, and autoscalers make nodes for it"
    assert priority_class()["preemptionPolicy"] == "Never"
    assert TEMPLATE["spec"]["terminationGracePeriodSeconds"] == 0


def test_they_are_no_part_of_an_edge_or_a_hub() -> None:
    labels = TEMPLATE["metadata"]["labels"]
    assert labels[PLACEHOLDER] == "iu"
    assert not {EDGE, HUB, SITE} & labels.keys()
    assert MADE["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_each_has_a_node_without_another() -> None:
    [apart] = TEMPLATE["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["labelSelector"]["matchLabels"] == {PLACEHOLDER: "iu"}


def test_one_that_was_pushed_away_makes_no_node_at_once() -> None:
    assert TEMPLATE["metadata"]["annotations"] == {"cluster-autoscaler.kubernetes.io/pod-scale-up-delay": "60s"}


def test_they_are_where_students_servers_are_as_chart_and_site_say() -> None:
    taint = {"key": "class", "operator": "Exists"}
    values = {"singleuser": {"nodeSelector": {"disk": "fast"}, "extraTolerations": [taint]}, "scheduling": {}}
    where = StudentNodes.of(SitePart(node_group="my.group"), values)
    assert where.selector == {"capi.stackhpc.com/node-group": "my-group", "disk": "fast"}
    assert list(where.tolerations) == [*TOLERATED, taint]
    assert StudentNodes.of(SitePart(), {"singleuser": None}) == StudentNodes()
    assert TEMPLATE["spec"]["nodeSelector"] == {"group": "mediums"}
    own = node(taints=[{"key": "class", "value": "a", "effect": "NoSchedule"}])
    assert node_refusal(own) == "taint class"
    assert node_refusal(own, where.tolerations) == ""


def test_a_chart_says_what_its_students_tolerate() -> None:
    chart = Chart.find(CHARTS, "jupyterhub")
    here = KubernetesSettings(Path("kubeconfig"), chart, chart, values={"singleuser": {}})
    assert {one["key"] for one in here.student_nodes().tolerations} == {one["key"] for one in TOLERATED}


def test_nodes_of_other_groups_and_those_for_hubs_are_not_among_them() -> None:
    core = {"group": "mediums", "hub.jupyter.org/node-purpose": "core"}
    nodes = [named("a"), named("b", {"group": "large"}), named("c", core), named("d", unschedulable=True)]
    found = student_nodes(nodes, [], WHERE, RESERVE)
    assert [(one.name, one.open) for one in found] == [("a", True), ("d", False)]


def test_a_node_is_told_with_who_is_on_it_and_placeholders_take_nothing() -> None:
    keeps = pod("a", ("7500m", "28Gi"), **{PLACEHOLDER: "iu"})
    small, large = pod("b", ("400m", "1Gi")), pod("c", ("2", "1Gi"))
    pods = [keeps, small, large, server("a"), server("a", TESTER), server("")]
    a, b, c = student_nodes([named("a"), named("b"), named("c")], pods, WHERE, RESERVE)
    assert a.size.cpu_millis == 7500
    assert (a.servers, a.students) == ({"atm101-abc123": 1}, Size(2000, 8 * GIB)), "a test server is no student's"
    assert b.others == Size(), "it lives of what the node keeps for itself"
    assert c.others == Size(1500, 0)
    assert [one.shared for one in (a, b, c)] == [False, True, True], "and no placeholder has room beside it"
