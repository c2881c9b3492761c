"""What surrounds a hub: each bound with the honest number that it must never get near, and who is let through."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest

from federation.core.chart_values.classroom import PRIVATE
from federation.core.chart_values.row import Given, SitePart
from federation.core.chart_values.table import classroom_values, merged, values_of
from federation.model.site_file import SiteFile
from tests.support.classrooms import classroom

HUB = "atm101-7k2x9q"
TLS = {"ca": "ca.pem", "cert": "a.pem", "key": "a.key"}
CAR = {"name": "idv", "image": "unidata/idv:2026", "memory": {"guarantee": "2G", "limit": "6G"}}
IMAGE = {"name": "quay.example/atm", "tag": "2026aug01"}
WHO = {"admins": ["ann"]}


def site(agent: dict[str, Any] | None = None, copies: dict[str, Any] | None = None, **cluster: Any) -> SitePart:
    spec: dict[str, Any] = {
        "kind": "kubernetes",
        "cluster": {"kubeconfig": "k", "charts": "c", **cluster},
        "agent": {"coordinators": ["c1.example.edu:8443"], "tls": TLS, **(agent or {})},
        "copies": copies,
    }
    body = {"apiVersion": "hubfed/v1", "kind": "Site", "metadata": {"name": "iu"}, "spec": spec}
    return SitePart.of(SiteFile.model_validate(body))


def values(
    where: SitePart | None = None, homes: int = 0, own: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    given = Given(classroom("atm101", **spec), HUB, where or site(), homes)
    made = merged(merged(values_of(given), own or {}), given.spec.overrides.values)
    return classroom_values(Given(given.classroom, HUB, given.site, homes, made))


def test_it_says_whose_it_is() -> None:
    made = values()
    assert (made["site"], made["hub"], made["classroom"]) == ("iu", HUB, "atm101")
    assert made["labels"] == {"semester": "fall-2026"}


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("semester", "fall-2026", True),
        ("example.edu/cost-center", "4711", True),
        ("semester", "", True),
        ("institution", "University of Wisconsin", False),  # a blank is in no label
        ("note", "x" * 64, False),
        ("a/b/c", "x", False),
        ("hubfed.io/site", "tacc", False),  # ours are nobody's to set
        ("app.kubernetes.io/managed-by", "me", False),
        ("hub.jupyter.org/network-access-hub", "true", False),
    ],
)
def test_marks_of_the_admin_are_labels_if_they_can_be(key: str, value: str, kept: bool) -> None:
    one = classroom("atm101")
    marked = one.model_copy(update={"labels": {key: value}})
    assert classroom_values(Given(marked, HUB, site())).get("labels") == ({key: value} if kept else None)


# --- bounds ---


@pytest.mark.parametrize("expected", [1, 10, 25, 300])
def test_twice_all_servers_of_a_class_fit_with_its_hub(expected: int) -> None:
    """A hub that lost its database starts all of them anew, while all that ran before runs on."""
    most = values(roster={**WHO, "expected": expected})["quota"]["servers"]["most"]
    hub_proxy_and_those_that_end = 4
    assert most >= 2 * ceil(1.2 * expected) + hub_proxy_and_those_that_end


def test_only_pods_of_the_class_s_own_priority_are_counted() -> None:
    """Two pullers on each of 500 nodes, placeholders for all, pods that copy homes: none takes a student's place."""
    assert values()["quota"]["servers"]["priorityClass"] == "atm101-7k2x9q-default-priority"


@pytest.mark.parametrize("limit", [500, 0, None])
@pytest.mark.parametrize("who", ["class", "site"])
def test_a_limit_that_is_said_elsewhere_is_the_one_that_counts(limit: int | None, who: str) -> None:
    said = {"hub": {"activeServerLimit": limit}}
    made = values(overrides={"values": said}) if who == "class" else values(own=said)
    assert made["quota"].get("servers", {}).get("most") == (1020 if limit else None), "no limit there, none here"


@pytest.mark.parametrize(
    "said", [{"scheduling": {"podPriority": {"enabled": False}}}, {"fullnameOverride": "x"}, {"scheduling": None}]
)
def test_where_the_priority_is_not_known_pods_are_not_bounded(said: dict[str, Any]) -> None:
    assert "servers" not in values(overrides={"values": said})["quota"]


@pytest.mark.parametrize("homes", [0, 1, 7])
@pytest.mark.parametrize("expected", [1, 25, 300])
def test_homes_of_everybody_fit_once_more_than_twice_the_restores_that_were(expected: int, homes: int) -> None:
    """Sets of before stay; a restore comes before the start that raises the bound; two more failed half-way."""
    claims = values(homes=homes, roster={**WHO, "expected": expected})["quota"]["claims"]
    everybody_and_as_many_that_came_later = 2 * (expected + 1)
    assert claims > everybody_and_as_many_that_came_later * (homes + 4)


@pytest.mark.parametrize(
    ("spec", "limit"),
    [
        ({}, "8Gi"),
        ({"resources": {"memory": {"guarantee": "10G", "limit": "10G"}}}, "20Gi"),
        ({"image": {**IMAGE, "sidecars": [CAR]}}, "12Gi"),
        (
            {
                "resources": {
                    "profiles": [
                        {"name": "small", "default": True},
                        {"name": "large", "memory": {"guarantee": "8G", "limit": "16G"}},
                    ]
                }
            },
            "32Gi",
        ),
    ],
)
def test_a_container_that_says_nothing_has_room_and_not_a_node(spec: dict[str, Any], limit: str) -> None:
    """A request above the limit is refused: so it is never below what anybody of the class asks for."""
    assert values(**spec)["memoryLimit"] == limit


# --- who is let through ---


@pytest.mark.parametrize(
    ("agent", "cluster", "networks", "namespace", "anywhere"),
    [
        ({"edge_address": "10.0.0.5:8446"}, {}, ["10.0.0.5/32"], None, False),
        ({"edge_address": "[fd00::5]:8446"}, {}, ["fd00::5/128"], None, False),
        ({"edge_address": "10.0.0.5:8446"}, {"agent_networks": ["10.244.3.0/32"]}, ["10.244.3.0/32"], None, False),
        ({"edge_address": "fed-agent.hubfed.svc:8446"}, {}, None, "hubfed", False),
        ({"edge_address": "fed-agent.hubfed.svc.cluster.local:8446"}, {}, None, "hubfed", False),
        ({"edge_address": "agent.iu.example.edu:8446"}, {}, None, None, True),  # a policy has no names
        ({}, {}, None, None, True),  # the edge is beside the agent, wherever that is
        ({}, {"agent_networks": ["10.0.0.5/32"]}, ["10.0.0.5/32"], None, False),
    ],
)
def test_the_agent_is_let_in_from_where_it_is_known_to_be(
    agent: dict[str, Any], cluster: dict[str, Any], networks: list[str] | None, namespace: str | None, anywhere: bool
) -> None:
    found = values(site(agent, **cluster))["agent"]
    assert (found.get("networks"), found.get("namespace"), found["anywhere"]) == (networks, namespace, anywhere)


def test_students_reach_no_private_network_and_no_desk_of_an_agent() -> None:
    assert set(values()["students"]["closed"]) == set(PRIVATE)
    public = site({"edge_address": "192.0.2.5:8446"}, closed=["198.51.100.0/28"])
    assert set(values(public)["students"]["closed"]) == {*PRIVATE, "192.0.2.5/32", "198.51.100.0/28"}
    named = site({"edge_address": "192.0.2.5:8446"}, agent_networks=["10.244.3.0/32"])
    assert set(values(named)["students"]["closed"]) == {*PRIVATE, "192.0.2.5/32"}, "the desk, wherever it comes from"


def test_what_is_closed_can_stand_in_a_policy_of_version_4() -> None:
    mixed = site({"edge_address": "[2001:db8::5]:8446"}, closed=["2001:db8::/32", "10.1.0.0/16"])
    assert set(values(mixed)["students"]["closed"]) == set(PRIVATE), "10.1.0.0/16 is within"


@pytest.mark.parametrize(
    ("copies", "out"),
    [
        (None, False),
        ({"store": "/srv/copies"}, False),
        ({"store": "s3:https://s3.example.edu/hub-homes", "credentials": "keys.env"}, True),
    ],
)
def test_pods_that_copy_homes_reach_out_where_the_store_is_no_folder(copies: dict[str, Any] | None, out: bool) -> None:
    assert values(site(copies=copies))["copies"]["reachOut"] is out
