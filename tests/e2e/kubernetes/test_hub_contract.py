"""What every HubDriver promises, on a real cluster: the suite of tests/contract, with another bench."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from agents.drivers.base import HubOrder, SiteDrivers
from agents.drivers.hub_address import HubAddress
from agents.drivers.hub_kubernetes import KubernetesHubs
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.census import SERVERS, living, username
from federation.coordinator.probe import HttpProber
from federation.coordinator.server_probe import Ticket, Tried
from federation.model.identity import Epoch
from federation.model.scalars import TESTER
from tests.contract import test_hub_driver as contract
from tests.e2e.kubernetes.cluster_site import ClusterSite, cluster_site
from tests.e2e.kubernetes.conftest import Sites
from tests.support.hub_bench import start_server, turned_away
from tests.support.local_site import E1
from tests.testbed import binaries, jupyter_images
from tests.testbed.api import Object, Refused
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough, pytest.mark.asyncio(loop_scope="module")]

TAGS = ("2026a", *(f"2026-{n}" for n in range(2, 8)))  # of the classes of that suite


@dataclass
class KubernetesBench:
    """The HubBench of a site whose agent's host is a node."""

    here: ClusterSite
    epoch: Epoch = E1
    generation: int = 1
    made: list[SiteDrivers] = field(default_factory=list)

    @property
    def sites(self) -> Sites:
        return self.here.sites

    @property
    def drivers(self) -> SiteDrivers:
        return self.here.drivers

    def drivers_anew(self) -> SiteDrivers:
        self.made.append(self.here.drivers_anew())
        return self.made[-1]

    async def close(self) -> None:
        for drivers in (self.drivers, *self.made):
            await drivers.hubs.close()

    def kill(self, hub: str, role: str) -> None:
        for pod in self._pods(hub, role):
            self.sites.iu.api.delete(f"{_pods(hub)}/{pod['metadata']['name']}", gracePeriodSeconds="1")

    async def start_server(self, hub: str, user: str) -> None:
        await start_server(await self._address(hub), user, 180)

    async def turned_away(self, hub: str, user: str) -> str:
        return await turned_away(await self._address(hub), user)

    def pids(self, hub: str) -> set[int]:
        """Of students' servers, which nothing may restart; a hub in a cluster restarts when its settings change."""
        return {zlib.crc32(pod["metadata"]["uid"].encode()) for pod in living(self._pods(hub, SERVERS))}

    def tester_home(self, hub: str) -> list[Object]:
        """Claims of the user of test servers."""
        every = self.sites.iu.api.items(f"/api/v1/namespaces/{hub}/persistentvolumeclaims")
        return [one for one in every if username(one) == TESTER]

    async def _address(self, hub: str) -> HubAddress:
        hubs = self.drivers.hubs
        assert isinstance(hubs, KubernetesHubs)
        return await hubs.address(hub)

    def _pods(self, hub: str, component: str) -> list[Object]:
        return self.sites.iu.api.items(_pods(hub), labelSelector=f"component={component}")


def _pods(hub: str) -> str:
    return f"/api/v1/namespaces/{hub}/pods"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(sites: Sites) -> AsyncIterator[KubernetesBench]:
    assert sites.iu.node is not None
    binaries.helm()
    hub, user, proxy = await asyncio.to_thread(
        jupyter_images.jupyter
    )  # it may have to make them, and runs a loop for that
    seats = [replace(user, name=f"docker.io/unidata/atm101:{tag}") for tag in TAGS]
    sites.iu.node.add_images([hub, user, proxy, *seats])
    with cluster_site(sites, edge_inside=False) as here:
        made = KubernetesBench(here)
        yield made
        for namespace in await made.drivers.hubs.list():
            await made.drivers.homes.delete(namespace)
        await made.close()


newest = contract.newest
test_never_here = contract.test_a_hub_that_was_never_here_is_stopped_and_has_no_processes
test_serves = contract.test_a_started_hub_serves_at_the_orders_epoch_and_generation
test_same_again = contract.test_the_same_order_again_changes_nothing
test_older_epoch = contract.test_an_order_of_an_older_epoch_is_refused
test_newer_epoch = contract.test_a_newer_epoch_is_taken_without_a_restart
test_mended = contract.test_what_was_killed_is_mended_by_the_next_start_and_servers_live_on
test_adopted = contract.test_a_new_agent_finds_and_adopts_what_runs
test_roster = contract.test_the_roster_is_read_back_with_its_admins
test_no_roster = contract.test_the_roster_of_a_hub_that_is_not_here_is_an_error
test_tester = contract.test_the_tester_is_in_no_roster_and_leaves_nothing
test_no_tester = contract.test_no_tester_is_admitted_to_a_hub_that_is_not_here
test_new_image = contract.test_a_new_image_is_for_new_servers_only_and_old_ones_are_counted
test_notice = contract.test_a_hub_with_a_notice_lets_nobody_new_in_says_why_and_leaves_those_alone_who_are_in
test_logs = contract.test_logs_end_with_the_newest_line
test_no_logs = contract.test_logs_of_a_hub_that_is_not_here_are_an_error
test_stop = contract.test_stop_ends_every_process_and_can_be_repeated


async def test_a_hub_is_surrounded_by_what_bounds_it_and_counted_in_it(
    bench: KubernetesBench, newest: HubOrder
) -> None:
    api, here = bench.sites.iu.api, newest.hub
    used = api.get(f"{paths.quotas(here)}/classroom-servers")["status"]["used"]
    assert int(used["pods"]) >= 2, "hub and proxy, and whoever works: the chart names the priority that we count"
    assert int(api.get(f"{paths.quotas(here)}/classroom")["status"]["used"]["persistentvolumeclaims"]) >= 1
    spec: Object = {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"a": "b"}}
    with pytest.raises(Refused, match="exceeded quota"):
        api.create(f"{paths.namespace(here)}/services", {"metadata": {"name": "out"}, "spec": spec})
    budgets = api.items(f"/apis/policy/v1/namespaces/{here}/poddisruptionbudgets")
    allowed = {one["metadata"]["name"]: one["status"]["disruptionsAllowed"] for one in budgets}
    assert allowed == {"classroom-hub": 0, "classroom-proxy": 0, "classroom-servers": 0}


async def test_a_test_server_is_no_students_and_nothing_of_it_is_left(bench: KubernetesBench, newest: HubOrder) -> None:
    hub, drivers = newest.hub, bench.drivers
    before = await drivers.hubs.observe(hub)
    token = await drivers.testers.admit(hub, 300.0)
    ticket = Ticket(TESTER, token, 180.0)
    assert await HttpProber().server(before.address, newest.classroom.spec.dns.host, ticket) == Tried()
    view = await drivers.hubs.observe(hub)
    assert (view.servers, view.used, view.outdated_servers) == (before.servers, before.used, before.outdated_servers)
    assert view.processes == before.processes + 1, "it runs until it is dismissed"
    assert bench.tester_home(hub)
    bench.epoch = newest.epoch.next()
    await drivers.hubs.start(replace(newest, epoch=bench.epoch))  # what is written of the hub leaves the note alone
    assert await drivers.testers.left() == (hub,)
    await drivers.testers.dismiss(hub)
    assert await drivers.testers.left() == ()
    assert bench.tester_home(hub) == []
    assert (await drivers.hubs.observe(hub)).processes == before.processes
    ended = await HttpProber().server(before.address, newest.classroom.spec.dns.host, ticket)
    assert "the hub answered 40" in ended.untested
