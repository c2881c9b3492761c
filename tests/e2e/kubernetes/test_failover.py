"""Two clusters, a site's lines cut: its gate closes and its pods end, and only then the other cluster has the class."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import ALIVE
from tests.e2e.kubernetes.conftest import Sites
from tests.e2e.kubernetes.sites_in_clusters import class_in_cluster, federation_of
from tests.support.federation import until
from tests.support.freezing import freeze
from tests.support.takeover import wait_until_armed, wait_until_served_at
from tests.support.three_hosts import NAMES, OFFICE, ThreeHosts
from tests.testbed.binaries import BUILT_S

pytestmark = pytest.mark.timeout(BUILT_S)

CLASS: dict[str, Any] = {
    **class_in_cluster(),
    "placement": {"allow": ["iu", "tacc"], "prefer": "iu"},
    "storage": {"type": "none"},
}
NAME = "lab"


@pytest.fixture(scope="module")
def here(sites: Sites) -> Iterator[ThreeHosts]:
    with federation_of(sites, iu=sites.iu, tacc=sites.tacc) as running:
        yield running


def living(sites: Sites, hub: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in sites.iu.api.items(paths.pods(hub), fieldSelector=ALIVE)]


def test_a_cluster_that_is_cut_off_closes_and_ends_its_pods_before_the_other_one_has_the_class(
    here: ThreeHosts, sites: Sites
) -> None:
    here.fedctl("place", str(here.classroom(NAME, **CLASS)), limit_s=300)
    try:
        hub = str(here.hub(NAME)["metadata"]["uid"])
        wait_until_armed(here, NAME, "iu")
        with here.watched(OFFICE, NAME, "iu", "tacc") as onlooker:
            with here.net.cut(*here.net.both_ways("iu", "tacc", "witness", NAMES)):
                wait_until_served_at(here, NAME, "tacc")
                assert living(sites, hub) == [], "nothing of it runs in the cluster that was cut off"
            until(lambda: here.condition(NAME, "PeerClean") == "True", "iu confirms that it closed", 60, here.logs)
        last, first = onlooker.served("iu")[-1], onlooker.served("tacc")[0]
        assert last.answered < first.asked
        events = [(entry.site, entry.event) for entry in here.history() if entry.hub == hub]
        ended = max(n for n, (site, event) in enumerate(events) if site == "iu" and event in ("stop", "fenced"))
        assert ended < events.index(("tacc", "start")), events
    finally:
        here.fedctl("retire", NAME, "--no-wait", ok=False)


def test_with_the_agent_frozen_the_fencer_ends_the_pods(here: ThreeHosts, sites: Sites) -> None:
    """What a hung agent leaves behind; the edge has closed by itself, for nobody answers it."""
    name = "hung"
    here.fedctl("place", str(here.classroom(name, **CLASS)), limit_s=300)
    try:
        hub = str(here.hub(name)["metadata"]["uid"])
        wait_until_armed(here, name, "iu")
        agent = here.daemons.running["iu", "agent"]
        freeze(agent.pid)
        try:
            wait_until_served_at(here, name, "tacc")
            assert living(sites, hub) == []
            events = [entry.event for entry in here.history() if entry.hub == hub and entry.site == "iu"]
            assert "fenced" in events
        finally:
            os.kill(agent.pid, signal.SIGCONT)
    finally:
        here.fedctl("retire", name, "--no-wait", ok=False)
