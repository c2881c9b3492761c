"""Which claims are homes, from where they can be read, and what new ones are."""

from __future__ import annotations

from typing import Any

import pytest

from agents.drivers.kubernetes.home_claims import (
    ClaimSize,
    HomeClaims,
    Reach,
    check_not_shared,
    database_claim,
    has_claim,
    home_claim,
    in_use,
    owner,
    reach,
    sizes,
)
from agents.drivers.kubernetes.hub_values import plain_values
from federation.core.chart_values.row import Given, SitePart
from federation.core.home_names import slug
from federation.model.errors import DriverError
from federation.model.scalars import TESTER
from tests.support.classrooms import classroom

HUB = "atm101-abc123"
Object = dict[str, Any]


def claim(name: str, user: str = "", mode: str = "ReadWriteOnce", **annotations: str) -> Object:
    notes = {"hub.jupyter.org/username": user} if user else {}
    spec = {"accessModes": [mode], "resources": {"requests": {"storage": "7Gi"}}, "storageClassName": "fast"}
    return {"metadata": {"name": name, "annotations": {**notes, **annotations}}, "spec": spec}


def pod(name: str, node: str, *claims: str, phase: str = "Running") -> Object:
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    spec = {"nodeName": node, "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}}


ADA, BOB = claim("claim-ada", "ada"), claim("claim-bob", "bob")
DATABASE = claim("hub-db-dir")


def test_homes_are_called_as_on_local_sites() -> None:
    odd = claim("claim-ada-example---4aac992a", "Ada@Example")
    found = HomeClaims.of([BOB, ADA, odd, DATABASE, claim("homes")], 0)
    assert found.claims == {slug("Ada@Example"): odd["metadata"]["name"], "ada": "claim-ada", "bob": "claim-bob"}
    assert found.others == ()


def test_homes_of_another_generation_are_not_these() -> None:
    found = [ADA, claim("claim1-ada", "ada"), claim("claim2-bob", "bob")]
    assert HomeClaims.of(found, 1).claims == {"ada": "claim1-ada"}
    assert HomeClaims.of(found, 3).claims == {}


def test_what_cannot_be_a_home_of_a_copy_is_named_and_the_testers_is_nobodys() -> None:
    second = claim("claim-ada--second", "ada", **{"hub.jupyter.org/servername": "second"})
    found = HomeClaims.of([ADA, second, claim("claim-by-hand"), claim("claim-tester", TESTER)], 0)
    assert found.claims == {"ada": "claim-ada"}
    assert found.others == ("claim-ada--second", "claim-by-hand")


def test_a_claim_that_is_about_to_go_is_no_home() -> None:
    going = claim("claim-ada", "ada")
    going["metadata"]["deletionTimestamp"] = "2026-11-27T14:40:00Z"
    assert HomeClaims.of([going], 0).claims == {}


def test_a_home_that_a_restore_brought_is_found_by_the_name_that_it_has_in_the_copy() -> None:
    unknown = "ada.0123456789"
    body = home_claim(HUB, unknown, unknown, 2, ClaimSize("5Gi"))
    assert HomeClaims.of([body], 2).claims == {unknown: body["metadata"]["name"]}


def test_a_claim_is_in_use_where_a_pod_that_is_not_over_has_it() -> None:
    pods = [
        pod("ada", "n1", "claim-ada"),
        pod("over", "n2", "claim-bob", phase="Failed"),
        pod("waits", "", "claim-eve", phase="Pending"),
    ]
    assert in_use(pods) == {"claim-ada": "n1"}


@pytest.mark.parametrize(
    ("used", "reached"),
    [
        ({}, Reach("", database=True)),
        ({"claim-ada": "n1"}, Reach("n1", database=True)),
        ({"hub-db-dir": "n2"}, Reach("n2", database=True)),
        ({"claim-ada": "n1", "claim-bob": "n1", "hub-db-dir": "n1"}, Reach("n1", database=True)),
        (
            {"claim-ada": "n1", "hub-db-dir": "n2"},
            Reach("n1", database=False, unread=("the hub's database (it is in use on n2, and homes are on n1)",)),
        ),
    ],
)
def test_homes_and_the_database_are_read_from_where_they_are_in_use(used: dict[str, str], reached: Reach) -> None:
    assert reach(HUB, ["claim-ada", "claim-bob"], [ADA, BOB, DATABASE], used) == reached


def test_homes_in_use_on_several_nodes_are_not_read_together() -> None:
    with pytest.raises(DriverError, match=r"students work on 2 nodes \(n1, n2\)"):
        reach(HUB, ["claim-ada", "claim-bob"], [ADA, BOB], {"claim-ada": "n1", "claim-bob": "n2"})


def test_volumes_that_many_nodes_can_have_are_read_from_anywhere() -> None:
    many = [claim(f"claim-{user}", user, "ReadWriteMany") for user in ("ada", "bob")]
    used = {"claim-ada": "n1", "claim-bob": "n2"}
    assert reach(HUB, used, many, used) == Reach("", database=False)


def test_homes_that_are_folders_of_one_volume_are_refused() -> None:
    check_not_shared(HUB, [ADA, DATABASE])
    with pytest.raises(DriverError, match="one shared volume"):
        check_not_shared(HUB, [claim("homes")])


def test_a_new_home_is_as_the_spawner_would_make_it() -> None:
    body = home_claim(HUB, "ada", "ada", 2, ClaimSize("5Gi", "fast"))
    assert body["metadata"]["name"] == "claim2-ada"
    assert body["metadata"]["labels"]["component"] == "singleuser-storage"
    assert body["metadata"]["annotations"]["hub.jupyter.org/username"] == "ada"
    assert body["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "fast",
    }
    assert "storageClassName" not in home_claim(HUB, "ada", "ada", 2, ClaimSize("5Gi"))["spec"]


def test_helm_takes_the_claim_of_the_database_for_its_own() -> None:
    meta = database_claim(HUB, ClaimSize("1Gi"))["metadata"]
    assert (meta["name"], meta["labels"]) == ("hub-db-dir", {"app.kubernetes.io/managed-by": "Helm"})
    assert meta["annotations"] == {"meta.helm.sh/release-name": HUB, "meta.helm.sh/release-namespace": HUB}


def test_sizes_and_owners_are_those_that_the_chart_is_given() -> None:
    seats = {"storage": {"dynamic": {"storageClass": "slow"}}, "uid": 1001}
    over = {"hub": {"db": {"pvc": {"storage": "3Gi"}}}, "singleuser": seats}
    given = Given(
        classroom(storage={"capacity": "7Gi"}, overrides={"values": over}), HUB, SitePart(storage_class="of-the-site")
    )
    values = plain_values(given, {"singleuser": {"fsGid": 200}})
    assert sizes(values) == (ClaimSize("7Gi", "slow"), ClaimSize("3Gi", "of-the-site"))
    assert owner(values) == (1001, 200)
    assert sizes({}) == (ClaimSize("5Gi"), ClaimSize("1Gi"))
    assert owner({}) == (1000, 100)
    assert has_claim(values)
    assert not has_claim({"hub": {"db": {"type": "postgres"}}})


def test_without_a_class_new_homes_are_like_those_that_are_there() -> None:
    assert ClaimSize.like([DATABASE, ADA], ClaimSize("5Gi")) == ClaimSize("7Gi", "fast")
    assert ClaimSize.like([DATABASE], ClaimSize("5Gi")) == ClaimSize("5Gi")
