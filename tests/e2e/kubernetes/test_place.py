"""A class in a cluster: placed by fedctl, run by Helm and Kubernetes, used by a student, kept over restarts, retired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kubernetes.conftest import Sites
from tests.e2e.kubernetes.sites_in_clusters import class_in_cluster, federation_of
from tests.support.federation import password, until
from tests.support.three_hosts import ThreeHosts
from tests.testbed.api import Object, Refused
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

CLASS: dict[str, Any] = {**class_in_cluster(), "placement": {"allow": ["iu"], "prefer": "iu"}}
NAME = "atm101"


@pytest.fixture(scope="module")
def here(sites: Sites) -> Iterator[ThreeHosts]:
    """The site iu is the cluster, tacc a local one."""
    with federation_of(sites, iu=sites.iu) as running:
        yield running


@pytest.fixture(scope="module")
def word(here: ThreeHosts) -> Iterator[str]:
    """The class's password; it serves."""
    file = here.classroom(NAME, **CLASS)
    yield password(here.fedctl("place", str(file), limit_s=300))
    here.fedctl("retire", NAME, "--no-wait", ok=False)


def uid(here: ThreeHosts) -> str:
    return str(here.hub(NAME)["metadata"]["uid"])


def pods(sites: Sites, namespace: str) -> list[Object]:
    """Those in which something runs: one that has ended stays on the list for a moment."""
    found = sites.iu.api.items(f"/api/v1/namespaces/{namespace}/pods")
    return [pod for pod in found if pod["status"]["phase"] not in ("Succeeded", "Failed")]


def core(sites: Sites, namespace: str) -> set[str]:
    """Uids of the hub's and the proxy's pods."""
    return {
        p["metadata"]["uid"]
        for p in pods(sites, namespace)
        if p["metadata"]["labels"].get("component") in ("hub", "proxy")
    }


def test_a_student_signs_in_starts_a_server_and_finds_the_file_again(here: ThreeHosts, word: str) -> None:
    async def work() -> None:
        async with here.student(NAME) as one:
            assert await one.sign_in("wrong") == 403
            assert await one.sign_in(word) == 200
            await one.start_server(120)
            await one.save("notes.txt", "kept")
            await one.stop_server(60)
            await one.start_server(120)
            assert await one.read("notes.txt") == "kept"

    here.in_the_office(work)


def test_what_is_shown_is_true(here: ThreeHosts, sites: Sites, word: str) -> None:
    assert here.condition(NAME, "Serving") == "True"
    assert here.condition(NAME, "Protected") == "False", "it may be at one site alone"
    assert "JupyterHub" in here.fedctl("logs", NAME, "--tail", "200").out
    namespace = sites.iu.api.get(f"/api/v1/namespaces/{uid(here)}")
    assert namespace["metadata"]["labels"]["hubfed.io/site"] == "iu"


def test_a_new_agent_adopts_the_class_as_it_runs(here: ThreeHosts, sites: Sites, word: str) -> None:
    before = core(sites, uid(here))
    here.daemons.running["iu", "agent"].kill()
    until(lambda: "agent at iu: -9" in here.daemons.ended, "its end is seen", 30, here.logs)
    until(lambda: here.fedctl("logs", NAME, ok=False).code == 0, "the new agent is asked", 60, here.logs)
    until(lambda: here.serves(NAME), "the class is served again", 60, here.logs)
    assert core(sites, uid(here)) == before
    assert here.login_page(NAME)
    here.daemons.ended.clear()


def test_a_hub_that_is_deleted_behind_our_back_comes_again_with_its_students(
    here: ThreeHosts, sites: Sites, word: str
) -> None:
    namespace = uid(here)
    (hub,) = [p for p in pods(sites, namespace) if p["metadata"]["labels"].get("component") == "hub"]
    sites.iu.api.delete(f"/api/v1/namespaces/{namespace}/pods/{hub['metadata']['name']}")
    until(lambda: hub["metadata"]["uid"] not in core(sites, namespace), "another hub is there", 60, here.logs)
    until(lambda: here.serves(NAME) and here.login_page(NAME), "it serves", 90, here.logs)


def test_a_changed_class_is_upgraded_in_place(here: ThreeHosts, sites: Sites, word: str) -> None:
    namespace, before = uid(here), revisions(sites, uid(here))
    limits: dict[str, Any] = {"cull_after": 7200}
    here.fedctl("place", str(here.classroom(NAME, **CLASS, limits=limits)), limit_s=300)
    assert revisions(sites, namespace) == before + 1
    until(lambda: here.serves(NAME), "it serves", 90, here.logs)
    here.fedctl("place", str(here.classroom(NAME, **CLASS, limits=limits)), limit_s=300)
    assert revisions(sites, namespace) == before + 1, "the same again changes nothing"


def revisions(sites: Sites, namespace: str) -> int:
    """Of the release: Helm keeps each in a Secret."""
    secrets = sites.iu.api.items(f"/api/v1/namespaces/{namespace}/secrets", labelSelector="owner=helm")
    return max(int(one["metadata"]["labels"]["version"]) for one in secrets)


def test_what_the_cluster_refuses_is_said_with_its_reason(here: ThreeHosts) -> None:
    """The image is not on the node, and the site forbids to pull any."""
    file = here.classroom("bad", **CLASS, overrides={"values": {"hub": {"image": {"tag": "none"}}}})
    here.fedctl("place", str(file), "--no-wait")
    try:
        until(
            lambda: "its image is not on the node" in here.message("bad", "Serving"),
            "the reason is shown", 120, lambda: str(here.hub("bad")["status"]),
        )  # fmt: skip
    finally:
        here.fedctl("retire", "bad", "--no-wait")


def test_a_retired_class_keeps_its_homes_for_a_restore_until_somebody_types_its_name(
    here: ThreeHosts, sites: Sites
) -> None:
    word = password(here.fedctl("place", str(here.classroom("met202", **CLASS)), limit_s=300))
    namespace = str(here.hub("met202")["metadata"]["uid"])

    async def save() -> None:
        async with here.student("met202") as one:
            assert await one.sign_in(word) == 200
            await one.start_server(120)
            await one.save("notes.txt", "kept")

    async def read() -> None:
        async with here.student("met202") as one:
            assert await one.sign_in(word) == 200
            await one.start_server(120)
            assert await one.read("notes.txt") == "kept"

    here.in_the_office(save)
    here.fedctl("retire", "met202", limit_s=180)
    assert pods(sites, namespace) == [], "students' servers are ended too"
    here.fedctl("restore", "met202", limit_s=180)
    here.in_the_office(read)
    here.fedctl("retire", "met202", "--delete-homes", "--yes-delete", "met202", limit_s=180)
    until(lambda: gone(sites, namespace), "the namespace is gone", 120, here.logs)


def gone(sites: Sites, namespace: str) -> bool:
    try:
        sites.iu.api.get(f"/api/v1/namespaces/{namespace}")
    except Refused as error:
        return error.status == 404
    return False
