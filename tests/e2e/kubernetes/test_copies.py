"""A class goes from one cluster to the other, and back, with its students' files and its hub's database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kubernetes.conftest import Sites
from tests.e2e.kubernetes.sites_in_clusters import class_in_cluster, cluster_kind, forget
from tests.support.federation import password, until
from tests.support.takeover import site_of
from tests.support.three_hosts import ThreeHosts, three_hosts
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

NAME = "moving"
CLASS: dict[str, Any] = {**class_in_cluster(), "placement": {"allow": ["iu", "tacc"], "prefer": "iu"}}
MOVES_S = 300.0


@pytest.fixture(scope="module")
def here(sites: Sites) -> Iterator[ThreeHosts]:
    """Both sites are clusters."""
    clusters = {"iu": sites.iu, "tacc": sites.tacc}
    with three_hosts(sites.net, {site: cluster_kind(cluster) for site, cluster in clusters.items()}) as running:
        yield running
    for cluster in clusters.values():
        forget(cluster)


def test_a_students_file_goes_along_from_one_cluster_to_the_other_and_back(here: ThreeHosts, sites: Sites) -> None:
    word = password(here.fedctl("place", str(here.classroom(NAME, **CLASS)), limit_s=300))

    async def save(text: str) -> None:
        async with here.student(NAME) as one:
            assert await one.sign_in(word) == 200
            await one.start_server(120)
            await one.save("notes.txt", text)

    async def read() -> str:
        async with here.student(NAME) as one:
            assert await one.sign_in(word) == 200, "with the same account"
            await one.start_server(120)
            return await one.read("notes.txt")

    assert site_of(here, NAME) == "iu"
    here.in_the_office(lambda: save("measured at noon"))
    until(lambda: here.condition(NAME, "DataFresh") == "True", "its homes were copied", 120, here.logs)
    here.fedctl("move", NAME, "--to", "tacc", "--now", limit_s=MOVES_S)
    assert site_of(here, NAME) == "tacc"
    assert here.in_the_office(read) == "measured at noon"
    here.in_the_office(lambda: save("measured at one"))
    here.fedctl("move", NAME, "--to", "iu", "--now", limit_s=MOVES_S)
    assert site_of(here, NAME) == "iu"
    assert here.in_the_office(read) == "measured at one"
    uid = here.hub(NAME)["metadata"]["uid"]
    claims = sites.iu.api.items(f"/api/v1/namespaces/{uid}/persistentvolumeclaims")
    assert {"claim-s01", "claim1-s01"} <= {claim["metadata"]["name"] for claim in claims}, "what was there is kept"
    here.fedctl("retire", NAME, "--no-wait")
