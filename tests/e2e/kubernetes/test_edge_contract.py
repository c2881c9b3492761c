"""What every EdgeDriver promises, of the edge that is a pod and asks the agent: the suite of tests/contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from agents.drivers.edge_kubernetes import KubernetesEdge
from agents.drivers.edges import Departed, Route
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.edge_objects import NAME
from agents.drivers.kubernetes.marks import ALIVE, edge_namespace
from federation.model.identity import Epoch
from tests.contract import test_edge_driver as contract
from tests.e2e.kubernetes.cluster_site import SITE, ClusterSite, cluster_site
from tests.e2e.kubernetes.conftest import Sites, remove_namespace
from tests.support.edge_bench import HOST, HUB, asked_once_more
from tests.support.local_site import E1
from tests.testbed import jupyter_images
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough, pytest.mark.asyncio(loop_scope="module")]

BEHIND = "behind-the-edge"
SETTLED = 20
PODS = paths.pods(edge_namespace(SITE))


@dataclass
class PodEdge:
    """The driver under test; a look at the gate waits until the edge has asked the agent once more."""

    driver: KubernetesEdge

    async def ensure(self) -> str:
        """And until the cluster sends nobody to the pod before it any more."""
        address, in_a_row = await self.driver.ensure(), 0
        while in_a_row < SETTLED:
            in_a_row = in_a_row + 1 if await self.driver.visitor.about(address) is not None else 0
        return address

    async def publish(
        self, routes: tuple[Route, ...], departed: tuple[Departed, ...] = (), unseen: frozenset[str] = frozenset()
    ) -> None:
        await self.driver.publish(routes, departed, unseen)

    async def close(self) -> None:
        await self.driver.close()

    async def is_open(self, hub: str) -> bool:
        await asked_once_more(self.driver.visitor, self.driver.address)
        return await self.driver.is_open(hub)


@dataclass
class PodEdgeBench:
    """The EdgeBench of a cluster."""

    here: ClusterSite
    edge: PodEdge
    target: str

    def route(self, epoch: Epoch = E1) -> Route:
        return Route(HUB, epoch, (HOST,), self.target)

    def write_lease(self, content: bytes | None) -> None:
        self.here.write_lease(content)

    async def kill(self) -> None:
        """All of its pods, and nobody makes new ones before the driver does."""
        api = self.here.sites.iu.api
        scale = f"{paths.deployments(edge_namespace(SITE))}/{NAME}"
        found = api.items(paths.deployments(edge_namespace(SITE)))
        if found:
            api.call("PATCH", scale, {"spec": {"replicas": 0}}, "application/merge-patch+json")
        for pod in api.items(PODS):
            api.delete(f"{PODS}/{pod['metadata']['name']}", gracePeriodSeconds="1")
        while api.items(PODS, fieldSelector=ALIVE):
            await self.here.clock.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(sites: Sites) -> AsyncIterator[PodEdgeBench]:
    assert sites.iu.node is not None
    sites.iu.node.add_images(jupyter_images.jupyter())
    with cluster_site(sites) as here:
        edge, canary = here.drivers.edge, here.drivers.canary
        assert isinstance(edge, KubernetesEdge)
        async with here.desk():
            target = await canary.start(BEHIND)
            yield PodEdgeBench(here, PodEdge(edge), target)
            await canary.stop(BEHIND)
            await edge.close()
            await here.drivers.hubs.close()
        remove_namespace(sites.iu.api, BEHIND)


fresh = contract.fresh
test_no_file = contract.test_without_a_lease_file_it_is_closed
test_standing = contract.test_a_standing_hub_is_open
test_other_boot = contract.test_a_lease_of_another_boot_opens_nothing
test_other_epoch = contract.test_a_lease_at_another_epoch_than_the_route_opens_nothing
test_deadline = contract.test_a_deadline_closes_it_without_anybody_saying_so
test_past = contract.test_a_deadline_in_the_past_opens_nothing
test_unreadable = contract.test_a_lease_file_that_cannot_be_read_changes_nothing
test_older = contract.test_an_older_lease_file_is_ignored
test_earlier = contract.test_the_file_of_an_earlier_incarnation_is_ignored
test_left = contract.test_a_hub_that_left_the_lease_is_closed
test_no_route = contract.test_a_hub_without_a_route_is_closed
test_departed = contract.test_a_hub_that_runs_at_another_site_is_closed_here_until_it_has_a_route_again
test_unseen = contract.test_the_route_of_a_hub_that_was_not_seen_yet_stays_as_it_was
test_killed = contract.test_a_killed_edge_is_closed_and_comes_back_at_the_same_address


async def test_the_same_again_writes_nothing(bench: PodEdgeBench) -> None:
    api = bench.here.sites.iu.api
    before = {one["metadata"]["uid"]: one["metadata"]["resourceVersion"] for one in api.items(PODS)}
    objects = [f"{paths.deployments(edge_namespace(SITE))}/{NAME}", paths.service(edge_namespace(SITE), NAME)]
    generations = [api.get(path)["metadata"].get("generation") for path in objects]
    await bench.edge.ensure()
    anew = bench.here.drivers_anew()
    assert await anew.edge.ensure() == bench.edge.driver.address
    await anew.edge.close()
    await anew.hubs.close()
    assert [api.get(path)["metadata"].get("generation") for path in objects] == generations
    assert {one["metadata"]["uid"] for one in api.items(PODS)} == set(before), "the same pod"


async def test_an_edge_whose_pod_is_killed_is_replaced_by_the_cluster_alone(bench: PodEdgeBench) -> None:
    contract.standing(bench)
    assert await bench.edge.is_open(HUB)
    api = bench.here.sites.iu.api
    for pod in api.items(PODS):
        api.delete(f"{PODS}/{pod['metadata']['name']}", gracePeriodSeconds="1")
    waited_s = 0.0
    while not await bench.edge.is_open(HUB):
        assert waited_s < 60, "no edge serves"
        await bench.here.clock.sleep(0.2)
        waited_s += 0.2
