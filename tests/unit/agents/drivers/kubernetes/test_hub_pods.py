"""What is said of a hub from hearsay, and what never is: that nothing of it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from agents.drivers.kubernetes.api import Api, Listed
from agents.drivers.kubernetes.hub_pods import HubPods
from federation.model.errors import DriverError
from tests.unit.agents.drivers.kubernetes.test_watch import Cluster, names, pod, until, watching

pytestmark = pytest.mark.looptime

Object = dict[str, Any]
HUB = "atm101"


@dataclass
class Server:
    """What the API server says of the hub when it is asked itself."""

    pods: list[Object] = field(default_factory=list)
    replicas: int = 0
    revision: int = 20
    asked: int = 0

    async def listed(self, path: str, *, labels: str = "", fields: str = "") -> Listed:
        self.asked += 1
        return Listed(self.pods, self.revision)

    async def items(self, path: str, *, labels: str = "", fields: str = "") -> list[Object]:
        self.asked += 1
        return [{"metadata": {"name": "hub"}, "spec": {"replicas": self.replicas}}] if "deployments" in path else []


@asynccontextmanager
async def looking(watched: Cluster, server: Server) -> AsyncIterator[HubPods]:
    """The watch tells what `watched` says, which may be late."""
    async with watching(watched) as watch:
        await until(lambda: names(watch) is not None)
        yield HubPods(cast(Api, server), watch)


async def test_what_runs_is_hearsay_and_nobody_is_asked() -> None:
    server = Server()
    async with looking(Cluster({"hub": pod("hub", 3)}), server) as pods:
        assert (await pods.seen(HUB)).count == 1
        assert await pods.running({HUB, "met202"}) == {HUB}
        assert server.asked == 0


async def test_that_nothing_runs_is_asked_once_and_then_holds_until_the_next_start() -> None:
    server = Server()
    async with looking(Cluster(), server) as pods:
        assert (await pods.seen(HUB)).count == 0
        before = server.asked
        assert before > 0
        assert (await pods.seen(HUB)).count == 0
        assert server.asked == before
        with pods.absences.starting(HUB):
            server.pods = [pod("hub", 30)]
        assert (await pods.seen(HUB)).count == 1, "the watch has not told of it yet"


async def test_a_hub_whose_pods_are_still_to_be_made_is_not_said_to_be_gone() -> None:
    server = Server(replicas=2)
    async with looking(Cluster(), server) as pods:
        census = await pods.seen(HUB)
        assert (census.pods, census.coming, census.count) == ((), 2, 2)
        server.replicas = 0
        assert (await pods.seen(HUB)).count == 0


async def test_what_was_seen_to_end_is_not_shown_again_by_a_watch_that_is_late() -> None:
    watched, server = Cluster({"hub": pod("hub", 3)}), Server(revision=20)
    async with looking(watched, server) as pods:
        mark = pods.absences.mark(HUB)
        census = await pods.now(HUB)
        pods.absences.found_nothing(HUB, census.revision, mark)
        assert (await pods.seen(HUB)).count == 0, "the watch still shows it"
        assert await pods.running({HUB}) == set()
        watched.change("DELETED", "hub")
        await until(lambda: names(pods.watch) == [])
        before = server.asked
        assert (await pods.seen(HUB)).count == 0
        assert server.asked == before


async def test_what_somebody_else_started_since_is_seen() -> None:
    watched, server = Cluster(), Server(revision=20)
    async with looking(watched, server) as pods:
        assert (await pods.seen(HUB)).count == 0
        watched.revision = 25
        watched.change("ADDED", "hub")
        await until(lambda: names(pods.watch) == ["hub"])
        before = server.asked
        assert (await pods.seen(HUB)).count == 1
        assert server.asked == before
        watched.change("DELETED", "hub")
        await until(lambda: names(pods.watch) == [])
        assert (await pods.seen(HUB)).count == 0
        assert server.asked > before, "that it is gone again is asked, too"


async def test_a_watch_that_is_not_to_be_believed_is_not_asked() -> None:
    watched, server = Cluster({"hub": pod("hub", 3)}), Server([pod("hub", 3), pod("proxy", 4)])
    async with looking(watched, server) as pods:
        watched.down = DriverError("connection reset")
        watched.told.put_nowait(watched.down)
        await until(lambda: names(pods.watch) is None)
        assert (await pods.seen(HUB)).count == 2
