"""Lines fail that no class depends on: whoever is reached by another way, or by most packets, keeps what it has."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.network_daemons import HOSTS
from tests.support.slow_line import slow
from tests.support.takeover import site_of, wait_until_armed
from tests.support.three_hosts import NAMES, ThreeHosts

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(300)]
NAME = "steady"
LASTS_S = 20.0  # more than L: whoever counts would have taken over


@pytest.fixture(scope="module")
def steady(hosts: ThreeHosts) -> Iterator[str]:
    with hosts.placed(NAME, storage={"type": "none"}):
        yield NAME


@pytest.fixture
def armed(here: ThreeHosts, steady: str) -> ThreeHosts:
    """It could be taken over, and would be, if anything were wrong."""
    wait_until_armed(here, steady, "iu")
    return here


def stays(here: ThreeHosts, *, open_s: float) -> None:
    """At its site, at its epoch; students find it whenever they look for so long."""
    uid = here.hub(NAME)["metadata"]["uid"]
    before = [entry for entry in here.history() if entry.hub == uid]
    end = time.monotonic() + open_s
    while time.monotonic() < end:
        assert here.login_page(NAME), here.logs()
        time.sleep(0.5)
    assert site_of(here, NAME) == "iu"
    events = [entry.event for entry in here.history() if entry.hub == uid][len(before) :]
    assert not {"start", "stop", "fenced", "close", "release", "revoke"} & set(events), events
    assert here.hub(NAME)["status"]["epoch"] == "1.1"


def test_two_sites_that_do_not_reach_each_other_and_both_reach_the_witness_keep_their_classes(
    armed: ThreeHosts,
) -> None:
    with armed.net.cut(*armed.net.both_ways("iu", "tacc")):
        stays(armed, open_s=LASTS_S)


def test_a_tenth_of_all_packets_is_lost_and_nothing_is_moved(armed: ThreeHosts) -> None:
    with armed.net.loss(10, *armed.net.between(*HOSTS, NAMES)):
        stays(armed, open_s=LASTS_S)


@pytest.mark.thorough
def test_a_line_that_is_several_times_as_slow_as_one_between_two_campuses_moves_nothing(armed: ThreeHosts) -> None:
    """A renewal goes over it up to three times: to a coordinator, or from that to the register, to read and to write. In
    the profile `lab` an answer is waited for for a second."""
    with slow(armed.net, "iu", 0.06, 0.02):
        stays(armed, open_s=LASTS_S)


@pytest.mark.thorough
def test_without_the_witness_the_sites_go_on_and_one_of_their_coordinators_leads(armed: ThreeHosts) -> None:
    with armed.net.cut(*armed.net.both_ways("witness")):
        stays(armed, open_s=LASTS_S)
        assert "STALE" not in armed.fedctl("get").err
    wait_until_armed(armed, NAME, "iu")
