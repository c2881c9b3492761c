"""A site dies or hangs, for real: its class comes back at the other one under its name, and is never served twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.federation import Federation, until
from tests.support.onlooker import Onlooker

pytestmark = pytest.mark.timeout(300)
NAME = "workshop"


def edges(here: Federation) -> dict[str, str]:
    items = json.loads(here.fedctl("sites", "-o", "json").out)["items"]
    return {item["name"]: item["edge_address"] for item in items}


def site_of(here: Federation) -> str:
    return str(here.hub(NAME)["status"]["site"])


def armed_at(here: Federation, site: str) -> None:
    until(lambda: site_of(here) == site and here.condition(NAME, "Protected") == "True", "it is armed", 90, here.logs)


@pytest.fixture(scope="module")
def workshop(federation_here: Federation) -> Iterator[Federation]:
    """A class without homes: nothing has to be copied for it to be moved."""
    with federation_here.placed(NAME, storage={"type": "none"}):
        yield federation_here


def test_a_killed_site_is_taken_over_and_does_not_serve_when_it_is_back(workshop: Federation, here: Federation) -> None:
    armed_at(here, "iu")
    with Onlooker(edges(here), f"{NAME}.localhost") as onlooker:
        here.lab("kill", "iu")
        until(lambda: site_of(here) == "tacc", "tacc takes over", 60, here.logs)
        until(lambda: here.serves(NAME) and here.login_page(NAME), "it serves under its name", 90, here.logs)
        here.lab("heal", "iu")
        until(lambda: here.condition(NAME, "PeerClean") == "True", "iu confirms that it closed", 90, here.logs)
        assert here.running(hub=here.hub(NAME)["metadata"]["uid"], site="iu") == []
    assert onlooker.served("tacc")
    assert onlooker.overlap("iu", "tacc") == []
