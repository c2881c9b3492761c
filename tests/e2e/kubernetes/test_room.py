"""Room before the bell on a real API with its scheduler and controllers; nodes are simulated, for a class fills several.

The agent's part is real, with the rights that it has; the time of day is the test's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import cast

import pytest
import pytest_asyncio

from agents.drivers.base import Capacity, HubOrder
from agents.drivers.cluster_kubernetes import KubernetesCluster
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.edge_objects import ProxyImage
from agents.drivers.kubernetes.marks import PLACEHOLDER, edge_namespace
from agents.drivers.kubernetes.node_room import TOLERATED
from agents.drivers.kubernetes.placeholders import NAME, Placeholders
from agents.drivers.kubernetes.student_nodes import StudentNodes
from agents.drivers.kubernetes.watches import Watches
from agents.hub_orders import HubOrders
from agents.lease import SiteLease
from agents.room import RoomForClasses
from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2
from federation.runtime.clock import SystemClock
from tests.e2e.kubernetes.conftest import new_namespace, remove_namespace
from tests.support.classrooms import classroom
from tests.support.local_site import E1
from tests.testbed.accounts import account
from tests.testbed.api import Object
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.simulated import CHOOSE, LABELS, simulated_nodes

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

SITE = "iu"
BELL = datetime(2026, 9, 1, 19, 30, tzinfo=UTC)  # 14:30 in Chicago
RESERVE = Capacity(500, 3 << 29)
AT_ONCE_S = 5.0  # an idle machine takes less than one
DEPLOYMENT = f"{paths.deployments(edge_namespace(SITE))}/{NAME}"


@dataclass
class SetClock(SystemClock):
    """What time it is, is said by the test."""

    says: datetime = BELL

    def now(self) -> datetime:
        return self.says


@dataclass
class OneClass:
    """What the agent knows of its only hub: lease, wanted document and order at once."""

    hub: str
    students: int
    hubs: dict[str, agent_pb2.WantedHub] = field(init=False)
    held: dict[str, None] = field(init=False)

    def __post_init__(self) -> None:
        self.hubs, self.held = {self.hub: agent_pb2.WantedHub(hub=self.hub, state="running")}, {self.hub: None}

    def lapsed(self, _hub: str) -> bool:
        return False

    def of(self, hub: str) -> HubOrder:
        meets = [{"weekly": {"days": ["tue"], "at": "14:30", "minutes": 120}}]
        wanted = classroom(meetings=meets, roster={"expected": self.students, "admins": ["ann"]})
        return HubOrder(hub, "atm101", E1, 1, wanted, "")


@dataclass
class Bench:
    """A site with a class whose seats have a core and a GiB: seven on a node."""

    cluster: Cluster
    nodes: list[str]
    hub: str
    clock: SetClock
    api: Api
    driver: KubernetesCluster
    room: RoomForClasses

    async def are_open(self, count: int) -> None:
        """Until the agent hears that so many nodes take pods."""
        while sum(node.open for node in (await self.driver.observe()).nodes or ()) != count:
            await asyncio.sleep(0.05)

    async def at(self, minutes: float) -> None:
        """What the agent does then, relative to the bell."""
        self.clock.says = BELL + timedelta(minutes=minutes)
        await self.room.keep(await self.driver.observe())

    def message(self) -> str:
        [said] = self.room.said(self.hub)
        return said.message

    def placeholders(self) -> list[str]:
        """Where each is; empty: it waits for a node."""
        found = self.cluster.api.items(paths.pods(edge_namespace(SITE)), labelSelector=PLACEHOLDER)
        return sorted(pod["spec"].get("nodeName", "") for pod in found)

    def comes(self, user: str, cpu: str = "1") -> None:
        """A student's server, as KubeSpawner makes it."""
        container = {"name": "notebook", "image": "none", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
        body: Object = {
            "metadata": {"name": f"jupyter-{user}", "labels": {"component": "singleuser-server"}},
            "spec": {"containers": [container], **CHOOSE},
        }
        self.cluster.api.create(paths.pods(self.hub), body)

    def runs_on(self, user: str) -> str:
        pod = self.cluster.api.get(f"{paths.pods(self.hub)}/jupyter-{user}")
        return str(pod["spec"].get("nodeName", "")) if pod["status"].get("phase") == "Running" else ""

    def cordon(self, node: str, on: bool) -> None:
        patch = {"spec": {"unschedulable": on}}
        self.cluster.api.call("PATCH", f"{paths.NODES}/{node}", patch, "application/merge-patch+json")

    async def until(self, condition: Callable[[], bool], what: str, limit_s: float = 60.0) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < limit_s, f"not within {limit_s:g} s: {what}; {self.placeholders()}"
            await asyncio.sleep(0.05)
        return time.monotonic() - began


@pytest_asyncio.fixture
async def bench(api_only: Cluster, tmp_path: Path) -> AsyncIterator[Bench]:
    clock, hub = SetClock(), new_namespace(api_only.api)
    api = Api(SITE, account(api_only, "agent", tmp_path))
    watches = Watches.of(api, clock, Random(1))
    where = StudentNodes(LABELS, (*TOLERATED, *CHOOSE["tolerations"]))
    driver = KubernetesCluster(
        watches, RESERVE, lambda: where, Placeholders(api, lambda: ProxyImage("none"), lambda: where)
    )
    known = OneClass(hub, students=10)
    lease, wanted, orders = cast(SiteLease, known), cast(WantedHubs, known), cast(HubOrders, known)
    room = RoomForClasses(driver, lease, wanted, orders, clock)
    with simulated_nodes(api_only, 2, cpu="8", memory="30Gi") as nodes:
        made = Bench(api_only, nodes, hub, clock, api, driver, room)
        await made.are_open(2)
        yield made
        remove_namespace(api_only.api, hub)
        remove_namespace(api_only.api, edge_namespace(SITE))
        await watches.close()
        await api.close()


async def test_a_class_gets_its_nodes_before_the_bell_students_take_them_at_once_and_afterwards_nothing_is_left(
    bench: Bench,
) -> None:
    await bench.at(-16)
    assert bench.placeholders() == []
    await bench.at(-10)
    await bench.until(lambda: bench.placeholders() == bench.nodes, "one on each node")
    await bench.at(-9)
    assert bench.message() == "10 seats for 14:30 are there"

    bench.comes("s01", cpu="100m")  # would fit beside one, in what the node keeps for itself
    took_s = await bench.until(lambda: bool(bench.runs_on("s01")), "the first student's server starts")
    print(f"the first student's server started after {took_s:.2f} s")
    assert took_s < AT_ONCE_S
    assert bench.runs_on("s01") not in bench.placeholders()

    for number in range(2, 6):  # more come to where the first one is, and push nobody else away
        bench.comes(f"s{number:02}")
    await bench.until(lambda: all(bench.runs_on(f"s{number:02}") for number in range(2, 6)), "four more")
    await bench.until(lambda: len(bench.placeholders()) == 2, "the one that was pushed away waits")
    await bench.at(1)
    other = next(node for node in bench.nodes if node != bench.runs_on("s01"))
    await bench.until(lambda: bench.placeholders() == [other], "no node is asked for any more")
    assert bench.message() == "10 seats for 14:30 are there"

    await bench.at(6)
    await bench.until(lambda: bench.placeholders() == [], "nothing is kept")
    assert bench.room.said(bench.hub) == ()
    assert bench.runs_on("s01"), "students are left alone"


async def test_a_node_that_is_missing_is_asked_for_said_and_kept_when_it_comes(bench: Bench) -> None:
    late = bench.nodes[1]
    bench.cordon(late, on=True)
    await bench.are_open(1)
    await bench.at(-10)
    assert bench.message() == "7 of 10 seats for 14:30: 1 more node is asked for"
    await bench.until(lambda: bench.placeholders() == ["", bench.nodes[0]], "one waits, which makes autoscalers act")
    bench.cordon(late, on=False)
    await bench.until(lambda: bench.placeholders() == bench.nodes, "the node that has come is kept")
    await bench.are_open(2)  # the agent hears it a moment later than the scheduler
    await bench.at(-8)
    assert bench.message() == "10 seats for 14:30 are there"


async def test_as_long_as_nothing_changes_nothing_is_written_and_what_somebody_deletes_is_made_again(
    bench: Bench,
) -> None:
    await bench.at(-10)
    await bench.until(lambda: bench.placeholders() == bench.nodes, "one on each node")
    await bench.at(-10)
    before = bench.api.asked.copy()
    for _look in range(5):
        await bench.at(-9)
    assert bench.api.asked == before
    bench.cluster.api.delete(DEPLOYMENT)
    await bench.until(lambda: bench.placeholders() == [], "somebody has deleted them")
    for _look in range(20):
        await bench.at(-8)
        await asyncio.sleep(0.1)
    await bench.until(lambda: bench.placeholders() == bench.nodes, "one on each node")


async def test_a_new_agent_in_class_time_changes_nothing_and_later_takes_away_what_the_one_before_it_made(
    bench: Bench,
) -> None:
    await bench.at(-10)
    await bench.until(lambda: bench.placeholders() == bench.nodes, "one on each node")
    made = bench.cluster.api.get(DEPLOYMENT)["metadata"]
    old = bench.driver.placeholders
    bench.driver.placeholders = Placeholders(old.api, old.image, old.where)
    await bench.at(-9)
    assert bench.cluster.api.get(DEPLOYMENT)["metadata"]["generation"] == made["generation"]
    bench.driver.placeholders = Placeholders(old.api, old.image, old.where)
    await bench.at(30)
    await bench.until(lambda: bench.placeholders() == [], "nothing is kept")
