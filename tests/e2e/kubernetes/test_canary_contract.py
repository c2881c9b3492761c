"""What a proof on a canary promises, with a pod, the edge in the cluster and a fencer that ends pods (PROTOCOL.md H13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest
import pytest_asyncio

from agents.canary import Entry
from agents.drivers.base import SiteDrivers
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.edge_objects import NAME
from agents.drivers.kubernetes.marks import ALIVE, edge_namespace
from federation.runtime.clock import Clock
from federation.runtime.processes import ProcessId
from tests.contract import test_canary as contract
from tests.e2e.kubernetes.cluster_site import SITE, ClusterSite, cluster_site
from tests.e2e.kubernetes.conftest import Sites
from tests.support.canary_bench import content
from tests.support.freezing import freeze
from tests.support.local_site import until
from tests.testbed import jupyter_images
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]


@dataclass
class PodCanaryBench:
    """The CanaryBench of a cluster."""

    here: ClusterSite
    fencer: ProcessId
    _seq: count[int] = field(default_factory=lambda: count(1))

    @property
    def drivers(self) -> SiteDrivers:
        return self.here.drivers

    @property
    def clock(self) -> Clock:
        return self.here.clock

    def write_entry(self, entry: Entry | None, /) -> None:
        self.here.write_lease(content(entry, next(self._seq), self.clock.boot_id()))

    async def break_gate(self) -> None:
        api = self.here.sites.iu.api
        scale = f"{paths.deployments(edge_namespace(SITE))}/{NAME}"
        api.call("PATCH", scale, {"spec": {"replicas": 0}}, "application/merge-patch+json")
        while api.items(paths.pods(edge_namespace(SITE)), fieldSelector=ALIVE):
            await self.clock.sleep(0.05)

    async def break_fencer(self) -> None:
        freeze(self.fencer.pid)


@pytest_asyncio.fixture
async def bench(sites: Sites) -> AsyncIterator[PodCanaryBench]:
    assert sites.iu.node is not None
    sites.iu.node.add_images(jupyter_images.jupyter())
    with cluster_site(sites) as here:
        made = PodCanaryBench(here, here.start_fencer())
        async with here.desk():
            made.write_entry(None)
            await here.drivers.edge.ensure()

            async def acknowledged() -> bool:
                return (here.runtime / "ack.json").exists()

            await until(acknowledged, "the fencer answers")
            try:
                yield made
            finally:
                await here.processes.stop(here.marks, grace_s=0.0)
                await here.drivers.edge.close()
                await here.drivers.hubs.close()


test_proven = contract.test_gate_and_fencer_that_work_are_proven_and_nothing_is_left
test_broken_gate = contract.test_a_gate_that_does_not_do_its_work_fails_the_proof
test_hung_fencer = contract.test_a_fencer_that_hangs_fails_the_proof_and_the_canary_is_cleared_away
test_no_hub = contract.test_a_canary_is_no_hub_of_the_site
