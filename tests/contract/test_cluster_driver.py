"""What every ClusterDriver promises, on the in-memory twin and on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agents.drivers.base import Capacity, ClusterDriver
from agents.drivers.memory import MemorySite
from federation.core.room import Size
from federation.model.status import ConditionType, Truth
from federation.runtime.clock import SystemClock
from tests.support.local_site import GIB, running_site

DECLARED = Capacity(30_000, 60 * GIB)


@pytest.fixture(params=["memory", "local"])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[ClusterDriver]:
    if request.param == "memory":
        yield MemorySite("iu", SystemClock(), DECLARED, machine=Capacity(2000, 4 * GIB)).drivers().cluster
        return
    async with running_site() as site:
        yield site.drivers.cluster


async def test_the_capacity_is_what_the_site_declared(cluster: ClusterDriver) -> None:
    assert (await cluster.observe()).capacity == DECLARED


async def test_nothing_runs_so_nothing_is_used(cluster: ClusterDriver) -> None:
    assert (await cluster.observe()).used == Capacity(0, 0)


async def test_declaring_more_than_the_machine_has_is_said(cluster: ClusterDriver) -> None:
    view = await cluster.observe()
    said = {condition.type: condition for condition in view.conditions}
    assert said[ConditionType.OVERCOMMITTED].status is Truth.TRUE


async def test_every_condition_has_a_reason(cluster: ClusterDriver) -> None:
    assert all(condition.reason for condition in (await cluster.observe()).conditions)


async def test_nodes_that_are_kept_take_nothing_from_what_students_can_have(cluster: ClusterDriver) -> None:
    before = await cluster.observe()
    for nodes in (2, 2, 1, 0, 0):
        await cluster.hold(nodes, Size(1000, GIB))
        now = await cluster.observe()
        assert (now.capacity, now.used) == (before.capacity, before.used)
