"""A site's host loses its power and boots, with another boot id and clocks that begin again: what it was granted before
opens nothing, although files say so and its disk remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from federation.model.profile import PROFILES, ProfileName
from tests.support import own_boot
from tests.support.federation import until
from tests.support.network_daemons import SITES, YOUNG_S
from tests.support.takeover import site_of, wait_until_armed, wait_until_served_at
from tests.support.three_hosts import NAMES, OFFICE, ThreeHosts

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(300)]
NAME = "boots"
NS = 1_000_000_000
HOUR_S = 3600
DAY_S = 24 * HOUR_S  # far below what it was, and far above what it is after another boot
LOOKS = 40  # two seconds
LAB = PROFILES[ProfileName.LAB]


@pytest.fixture(scope="module")
def armed_class(hosts: ThreeHosts) -> Iterator[str]:
    """Its uid. Where it is does not matter: each test boots the site that has it."""
    own_boot.needed()
    with hosts.placed(NAME, storage={"type": "none"}):
        yield str(hosts.hub(NAME)["metadata"]["uid"])


def lease_file(here: ThreeHosts, site: str) -> dict[str, Any]:
    """What edge and fencer of the site read; empty if there is none."""
    path = here.daemons.memory / site / "lease.json"
    body = json.loads(path.read_text()) if path.exists() else {}
    assert isinstance(body, dict)
    return body


def said(here: ThreeHosts, role: str, site: str, words: str) -> bool:
    """In this boot."""
    log = here.folder / "logs" / f"{role}-{site}.log"
    return log.exists() and words in log.read_text()


def events_since(here: ThreeHosts, before: int, uid: str, site: str) -> list[str]:
    return [entry.event for entry in here.history()[before:] if (entry.hub, entry.site) == (uid, site)]


def test_a_site_that_boots_opens_its_class_again_when_it_is_granted_and_is_armed_when_its_fencer_is_there(
    here: ThreeHosts, armed_class: str
) -> None:
    """It boots sooner than L, so that nobody took the class over. The fencer comes late: a class that nobody would end must
    not be one that others may take over."""
    site = site_of(here, NAME)
    wait_until_armed(here, NAME, site)
    epoch = here.hub(NAME)["status"]["epoch"]
    with here.watched(OFFICE, NAME, *SITES) as onlooker:
        until(lambda: bool(onlooker.served(site)), "it is seen")
        here.daemons.power_off(site)
        before, seen = len(here.history()), len(onlooker.served(site))
        here.daemons.power_on(site, uptime_s=DAY_S, without=("fencer",))
        until(lambda: len(onlooker.served(site)) > seen, "it is open again", 30, here.logs)
        assert lease_file(here, site)["hubs"][armed_class]["close_at"] is None
        until(lambda: "fencer" in here.message(NAME, "Protected"), "it is said that it is standing", 30, here.logs)
        assert here.condition(NAME, "Protected") == "False"
        here.daemons.launch(site, "fencer")
        wait_until_armed(here, NAME, site)
    assert here.hub(NAME)["status"]["epoch"] == epoch
    assert events_since(here, before, armed_class, site)[:3] == ["grant", "start", "open"]
    assert onlooker.served(next(other for other in SITES if other != site)) == []
    entry = lease_file(here, site)["hubs"][armed_class]
    assert entry["close_at"] <= here.daemons.boots[site].now_ns() + LAB.contact_s * NS, "counted in this boot's time"


def test_a_site_that_boots_when_its_class_was_taken_over_believes_no_file_of_the_boot_before(
    here: ThreeHosts, armed_class: str
) -> None:
    """The file lies where a boot has not emptied it, and by the clock of the new boot its deadline is days ahead."""
    site = site_of(here, NAME)
    (other,) = (each for each in SITES if each != site)
    wait_until_armed(here, NAME, site)
    with here.watched(site, NAME, site) as inside, here.watched(OFFICE, NAME, other) as outside:
        until(lambda: bool(inside.served(site)), "it is seen")
        with here.net.cut(*here.net.both_ways(site, other, "witness", NAMES)):
            here.daemons.power_off(site)
            before, seen = len(here.history()), len(inside.served(site))
            wait_until_served_at(here, NAME, other)
            here.daemons.power_on(site, keeps_memory=True)
            believed_until_ns = lease_file(here, site)["hubs"][armed_class]["close_at"]
            assert believed_until_ns > (YOUNG_S + HOUR_S) * NS
            until(lambda: said(here, "fencer", site, "fencer.unread"), "its fencer is there", 30, here.logs)
            until(lambda: said(here, "agent", site, "hello.failed"), "its agent is there", 30, here.logs)
            looks = len(inside.looks)
            until(lambda: len(inside.looks) > looks + LOOKS, "the edge is looked at", 30)
        until(lambda: here.condition(NAME, "PeerClean") == "True", "it confirms that it is closed", 60, here.logs)
        assert len(inside.served(site)) == seen
    assert inside.served(site)[-1].answered < outside.served(other)[0].asked
    assert {"grant", "start", "open"}.isdisjoint(events_since(here, before, armed_class, site))
    assert lease_file(here, site)["boot_id"] == here.daemons.boots[site].id
