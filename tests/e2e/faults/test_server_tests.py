"""Test servers for real: three coordinators start them in a class, and a site whose spawner breaks loses the class."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.faults.test_hooks import restart_coordinators
from tests.support.federation import Federation, until
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges, site_of, wait_until_armed

pytestmark = [pytest.mark.thorough, pytest.mark.needs_root, pytest.mark.timeout(400)]

NAME = "started"


@pytest.fixture
def tested(here: Federation) -> Iterator[Federation]:
    """Test servers every ten seconds, as a trial may have them."""
    file = here.dir / "federation.yaml"
    before = file.read_text()
    body = yaml.safe_load(before)
    body["spec"]["server_test_every"] = "10s"
    file.write_text(yaml.safe_dump(body))
    restart_coordinators(here)
    yield here
    file.write_text(before)
    restart_coordinators(here)


def says(here: Federation, words: str) -> bool:
    """Of `ServersStart`, in fedctl's own words."""
    answer = here.fedctl("get", NAME, "-o", "json", ok=False)
    said = json.loads(answer.out)["status"]["conditions"] if answer.code == 0 else []
    return any(c["type"] == "ServersStart" and words in c["message"] for c in said)


def uids_of(here: Federation, site: str) -> Path:
    """Without this file nobody at the site gets a system uid, so no server starts; hub and page go on."""
    (found,) = (here.dir / "sites" / site).rglob("student-uids.json")
    return found


def test_a_site_whose_spawner_breaks_while_the_page_is_there_hands_the_class_over(tested: Federation) -> None:
    here = tested
    assert os.getuid() == 0
    with here.placed(NAME) as word:
        wait_until_armed(here, NAME, "iu")
        until(lambda: says(here, "asked for from tacc and witness"), "both other places start one", 90, here.logs)
        assert here.hub(NAME)["status"].get("servers", 0) == 0, "it is no student's"
        uids = uids_of(here, "iu")
        kept = uids.read_bytes()
        with Onlooker(edges(here), f"{NAME}.localhost") as onlooker:
            uids.write_text("damaged")
            try:
                until(lambda: says(here, "did not start"), "it is said", 60, here.logs)
                assert here.login_page(NAME), "the page is there all the time"
                until(lambda: site_of(here, NAME) == "tacc", "it is moved", 120, here.logs)
                until(lambda: here.serves(NAME) and here.login_page(NAME), "it serves there", 60, here.logs)
            finally:
                uids.write_bytes(kept)
        assert onlooker.overlap("iu", "tacc") == []
        events = here.fedctl("events", NAME).out
        assert "test servers asked for from tacc and witness did not start, 3 in a row" in events

        async def work() -> str:
            async with here.student(NAME) as one:
                assert await one.sign_in(word) == 200
                await one.start_server()
                await one.save("notes.txt", "it starts")
                return await one.read("notes.txt")

        assert asyncio.run(work()) == "it starts"
        until(lambda: says(here, "asked for from iu and witness"), "and so do test servers", 90, here.logs)
        roster = here.fedctl("describe", NAME).out
        assert "hubfed-tester" not in roster
