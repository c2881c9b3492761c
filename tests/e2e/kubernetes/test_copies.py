"""A class goes from one cluster to the other, and back, with its students' files and its hub's database: moved, and when
its site is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kubernetes.conftest import Sites
from tests.e2e.kubernetes.sites_in_clusters import class_in_cluster, federation_of
from tests.support.federation import password, until
from tests.support.takeover import site_of, wait_until_armed, wait_until_served_at
from tests.support.three_hosts import NAMES, ThreeHosts
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

CLASS: dict[str, Any] = {**class_in_cluster(), "placement": {"allow": ["iu", "tacc"], "prefer": "iu"}}
MOVES_S = 300.0
SEEN_S = 12.0  # the agent looks every ten seconds: a server that lives for less may be missed, and its work waits


@pytest.fixture(scope="module")
def here(sites: Sites) -> Iterator[ThreeHosts]:
    """Both sites are clusters."""
    with federation_of(sites, iu=sites.iu, tacc=sites.tacc) as running:
        yield running


def save(here: ThreeHosts, name: str, word: str, text: str) -> None:
    """A student writes, and goes."""

    async def work() -> None:
        async with here.student(name) as one:
            assert await one.sign_in(word) == 200
            await one.start_server(120)
            await one.save("notes.txt", text)
            await asyncio.sleep(SEEN_S)
            await one.stop_server(60)

    here.in_the_office(work)


def read(here: ThreeHosts, name: str, word: str) -> str:
    async def work() -> str:
        async with here.student(name) as one:
            assert await one.sign_in(word) == 200, "with the same account"
            await one.start_server(120)
            return await one.read("notes.txt")

    return here.in_the_office(work)


def test_a_students_file_goes_along_from_one_cluster_to_the_other_and_back(here: ThreeHosts, sites: Sites) -> None:
    name = "moving"
    word = password(here.fedctl("place", str(here.classroom(name, **CLASS)), limit_s=300))
    try:
        assert site_of(here, name) == "iu"
        save(here, name, word, "measured at noon")
        until(lambda: here.condition(name, "DataFresh") == "True", "its homes were copied", 120, here.logs)
        here.fedctl("move", name, "--to", "tacc", "--now", limit_s=MOVES_S)
        assert site_of(here, name) == "tacc"
        assert read(here, name, word) == "measured at noon"
        save(here, name, word, "measured at one")
        here.fedctl("move", name, "--to", "iu", "--now", limit_s=MOVES_S)
        assert site_of(here, name) == "iu"
        assert read(here, name, word) == "measured at one"
        uid = here.hub(name)["metadata"]["uid"]
        claims = sites.iu.api.items(f"/api/v1/namespaces/{uid}/persistentvolumeclaims")
        assert {"claim-s01", "claim1-s01"} <= {claim["metadata"]["name"] for claim in claims}, "what was there is kept"
    finally:
        here.fedctl("retire", name, "--no-wait", ok=False)


def test_a_class_of_a_cluster_that_is_cut_off_comes_back_on_the_other_with_its_files(here: ThreeHosts) -> None:
    name = "cut"
    word = password(here.fedctl("place", str(here.classroom(name, **CLASS)), limit_s=300))
    try:
        wait_until_armed(here, name, "iu")  # there is a copy: the next one is made when the student has gone
        before = here.message(name, "DataFresh")
        save(here, name, word, "measured at noon")
        until(
            lambda: here.message(name, "DataFresh") not in ("", before), f"another copy than: {before}", 120, here.logs
        )
        wait_until_armed(here, name, "iu")
        with here.net.cut(*here.net.both_ways("iu", "tacc", "witness", NAMES)):
            wait_until_served_at(here, name, "tacc")
            assert read(here, name, word) == "measured at noon"
        until(lambda: here.condition(name, "PeerClean") == "True", "iu confirms that it closed", 60, here.logs)
    finally:
        here.fedctl("retire", name, "--no-wait", ok=False)
