"""What nodes of the testbed make of NetworkPolicies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.policy_rules import Seen, ruleset, selects

Object = dict[str, Any]
NAMESPACES = [{"metadata": {"name": name, "labels": {"name": name}}} for name in ("a", "b")]
HUB = {"matchLabels": {"app": "hub"}}


def pod(name: str, address: str, *, namespace: str = "a", **more: Any) -> Object:
    box = {"ports": [{"name": "http", "containerPort": 8000}]}
    meta = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {
        "metadata": meta,
        "spec": {"containers": [box], **more},
        "status": {"podIP": address, "phase": "Running"},
    }


def policy(namespace: str = "a", **spec: Any) -> Object:
    return {"metadata": {"name": "some", "namespace": namespace}, "spec": spec}


HUB_POD, STUDENT = pod("hub", "10.0.0.1"), pod("student", "10.0.0.2")
ELSEWHERE = pod("other", "10.0.0.3", namespace="b")


def rules(*policies: Object, pods: tuple[Object, ...] = (HUB_POD, STUDENT, ELSEWHERE)) -> dict[str, list[str]]:
    """What each chain has."""
    found: dict[str, list[str]] = {}
    for line in ruleset(Seen(NAMESPACES, list(pods), list(policies))).splitlines():
        if line.startswith("chain "):
            chain = found.setdefault(line.split()[1], [])
        elif line.startswith("  "):
            chain.append(line.strip())
    return found


def test_without_a_policy_everything_passes() -> None:
    assert set(rules()) == {"forwarded", "to-the-node"}
    assert not any("drop" in line for lines in rules().values() for line in lines)


def test_who_is_selected_gets_only_what_is_allowed() -> None:
    allowed = {"from": [{"podSelector": {"matchLabels": {"app": "student"}}}], "ports": [{"port": "http"}]}
    made = rules(policy(podSelector=HUB, ingress=[allowed]))
    assert made["ingress-10-0-0-1"] == ["ip saddr 10.0.0.2 tcp dport 8000 return", "drop"]
    assert "ip daddr vmap { 10.0.0.1 : jump ingress-10-0-0-1 }" in made["forwarded"]
    assert set(made) == {"forwarded", "to-the-node", "ingress-10-0-0-1"}


def test_a_name_of_a_port_is_the_receivers() -> None:
    out = {"to": [{"podSelector": HUB}], "ports": [{"port": "http"}]}
    made = rules(policy(podSelector={}, policyTypes=["Egress"], egress=[out]))
    assert made["egress-10-0-0-2"] == ["ip daddr 10.0.0.1 tcp dport 8000 return", "drop"]
    assert any("egress-10-0-0-2" in line for line in made["to-the-node"])


def test_another_namespace_is_meant_only_where_it_is_selected() -> None:
    other = {"namespaceSelector": {"matchLabels": {"name": "b"}}}
    assert rules(policy(podSelector=HUB, ingress=[{"from": [{"podSelector": {}}]}]))["ingress-10-0-0-1"] == [
        *("ip saddr 10.0.0.1 return", "ip saddr 10.0.0.2 return", "drop"),
    ]
    assert rules(policy(podSelector=HUB, ingress=[{"from": [other]}]))["ingress-10-0-0-1"] == [
        *("ip saddr 10.0.0.3 return", "drop"),
    ]


def test_a_block_of_addresses_has_holes() -> None:
    block = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "192.168.0.0/16"]}}
    made = rules(policy(podSelector=HUB, egress=[{"to": [block], "ports": [{"port": 443}]}], policyTypes=["Egress"]))
    only = "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8, 192.168.0.0/16 } tcp dport 443 return"
    assert made["egress-10-0-0-1"] == [only, "drop"]


def test_policies_add_up_and_an_empty_one_allows_nothing() -> None:
    made = rules(policy(podSelector={}), policy(podSelector=HUB, ingress=[{}]))
    assert made["ingress-10-0-0-1"] == ["return", "drop"]
    assert made["ingress-10-0-0-2"] == ["drop"]


@pytest.mark.parametrize(
    "more", [{"hostNetwork": True}, {"phase": "Succeeded"}], ids=["of the node's network", "that ended"]
)
def test_pods_without_an_address_of_their_own_are_not_restricted(more: Object) -> None:
    one = pod("hub", "10.0.0.1", **more)
    one["status"]["phase"] = more.get("phase", "Running")
    assert set(rules(policy(podSelector={}), pods=(one,))) == {"forwarded", "to-the-node"}


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ({"key": "app", "operator": "In", "values": ["hub", "proxy"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["hub"]}, False),
        ({"key": "tier", "operator": "NotIn", "values": ["hub"]}, True),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
    ],
)
def test_expressions_select(expression: Object, selected: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"app": "hub"}) is selected
