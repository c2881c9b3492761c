"""A watch on virtual time: when it is believed, when it is begun again, and how often anybody is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
import structlog

from agents.drivers.kubernetes.api import Listed
from agents.drivers.kubernetes.refusals import refused
from agents.drivers.kubernetes.watch import MOST_S, RELIST_S, SILENT_S, Kind, Watch
from federation.model.errors import DriverError
from federation.runtime.supervisor import Supervisor
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime

Object = dict[str, Any]
BOOKMARK_S = 60.0
ENDED: Object = {}


def pod(name: str, revision: int) -> Object:
    return {"metadata": {"name": name, "namespace": "atm101", "resourceVersion": str(revision)}}


@dataclass
class Cluster:
    """An API server with pods. `down`: why it refuses everything. `told` comes out of the watch that is open."""

    pods: dict[str, Object] = field(default_factory=dict)
    revision: int = 10
    down: Exception | None = None
    bookmarks: bool = True
    lists: int = 0
    watched: list[int] = field(default_factory=list)  # from which revision, each time
    told: asyncio.Queue[Object | Exception] = field(default_factory=asyncio.Queue)

    async def items(self, path: str, *, labels: str = "", fields: str = "") -> list[Object]:
        return (await self.listed(path, labels=labels, fields=fields)).items

    async def listed(self, path: str, *, labels: str = "", fields: str = "") -> Listed:
        self.lists += 1
        if self.down is not None:
            raise self.down
        return Listed(list(self.pods.values()), self.revision)

    async def events(
        self, path: str, *, since: int, limit_s: float, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[Object, None]:
        self.watched.append(since)
        if self.down is not None:
            raise self.down
        end = asyncio.get_running_loop().time() + limit_s
        while (left_s := end - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(min(left_s, BOOKMARK_S) if self.bookmarks else left_s):
                    event = await self.told.get()
            except TimeoutError:
                if self.bookmarks:
                    yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.revision)}}}
                continue
            if isinstance(event, Exception):
                raise event
            if event is ENDED:
                return
            yield event

    def change(self, kind: str, name: str) -> None:
        self.revision += 1
        one = pod(name, self.revision)
        self.pods = {key: value for key, value in self.pods.items() if key != name}
        if kind != "DELETED":
            self.pods[name] = one
        self.told.put_nowait({"type": kind, "object": one})


@asynccontextmanager
async def watching(cluster: Cluster) -> AsyncIterator[Watch]:
    tasks = Supervisor("test")
    async with tasks:
        yield Watch(Kind("pods", "/pods"), cluster, VirtualClock(), Random(1), tasks.start)


def names(watch: Watch) -> list[str] | None:
    heard = watch.heard()
    return None if heard is None else sorted(one["metadata"]["name"] for one in heard.all())


async def until(condition: Callable[[], bool], limit_s: float = 120.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.05)


async def test_who_looks_first_is_answered_by_the_cluster_and_from_then_on_by_the_watch() -> None:
    cluster = Cluster({"hub": pod("hub", 3)})
    async with watching(cluster) as watch:
        assert cluster.lists == 0, "nothing is asked before somebody looks"
        assert [one["metadata"]["name"] for one in await watch.objects()] == ["hub"]
        await asyncio.sleep(1)
        before = cluster.lists
        for _look in range(500):
            await asyncio.sleep(1)
            assert len(await watch.objects()) == 1
        assert (cluster.lists, len(cluster.watched)) == (before, 1), "500 looks asked nobody"


async def test_what_changes_is_heard_at_once() -> None:
    cluster = Cluster({"hub": pod("hub", 3)})
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        cluster.change("ADDED", "ada")
        await asyncio.sleep(0)
        await until(lambda: names(watch) == ["ada", "hub"], 1)
        cluster.change("DELETED", "hub")
        await until(lambda: names(watch) == ["ada"], 1)


async def test_a_watch_that_the_server_ends_goes_on_where_it_ended() -> None:
    cluster = Cluster()
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == [])
        cluster.change("ADDED", "ada")
        await until(lambda: names(watch) == ["ada"])
        cluster.told.put_nowait(ENDED)
        await asyncio.sleep(5)
        assert (cluster.lists, cluster.watched) == (1, [10, 11])
        assert names(watch) == ["ada"]


async def test_a_server_that_ends_each_watch_at_once_is_not_asked_without_a_pause() -> None:
    cluster = Cluster()
    for _again in range(100):
        cluster.told.put_nowait(ENDED)
    async with watching(cluster) as watch:
        watch.heard()
        await asyncio.sleep(20)
        assert len(cluster.watched) <= 21


@pytest.mark.parametrize("when", ["at once", "later"])
async def test_what_is_forgotten_is_listed_anew_at_once(when: str) -> None:
    gone = refused("iu", "WATCH", "/pods", 410, b'{"reason": "Expired", "message": "too old resource version"}')
    cluster = Cluster({"hub": pod("hub", 3)})
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        cluster.pods = {"proxy": pod("proxy", 50)}
        cluster.revision = 60
        if when == "at once":
            cluster.told.put_nowait(ENDED)
        cluster.told.put_nowait(gone)
        await until(lambda: names(watch) == ["proxy"], 3)
        assert cluster.watched[-1] == 60


async def test_a_watch_that_is_silent_is_given_up_and_everything_is_listed() -> None:
    cluster = Cluster({"hub": pod("hub", 3)}, bookmarks=False)
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        cluster.pods = {}
        await asyncio.sleep(SILENT_S - 1)
        assert (names(watch), cluster.lists) == (["hub"], 1)
        await until(lambda: names(watch) == [], 3)


async def test_a_mirror_of_which_nothing_is_heard_is_not_believed() -> None:
    """The server stands still: its watch stays open, and nobody is told what was."""
    cluster = Cluster({"hub": pod("hub", 3)}, bookmarks=False)
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        cluster.down = DriverError("the cluster's API server does not answer")
        await asyncio.sleep(SILENT_S + 1)
        assert names(watch) is None
        with pytest.raises(DriverError, match="does not answer"):
            await watch.objects()
        cluster.down = None
        await until(lambda: names(watch) == ["hub"], MOST_S + 1)


async def test_a_watch_that_breaks_is_not_believed_from_that_moment_and_tried_again_ever_more_slowly() -> None:
    cluster = Cluster({"hub": pod("hub", 3)})
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        cluster.down = DriverError("connection reset", delay_s=2.0)
        with structlog.testing.capture_logs() as lines:
            cluster.told.put_nowait(cluster.down)
            await asyncio.sleep(0.01)
            assert names(watch) is None
            before = cluster.lists
            await asyncio.sleep(1000)
            assert 10 < cluster.lists - before < 50
            cluster.down = None
            await until(lambda: names(watch) == ["hub"], MOST_S + 1)
            await asyncio.sleep(BOOKMARK_S + 1)
        said = [line["event"] for line in lines if line["log_level"] != "debug"]
        assert said == ["watch.lost", "watch.again"], "once, however long it lasts"


async def test_everything_is_listed_anew_on_schedule_whatever_the_watch_has_told() -> None:
    cluster = Cluster({"hub": pod("hub", 3)})
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        del cluster.pods["hub"]  # an event that was lost
        await asyncio.sleep(RELIST_S * 0.8)
        assert (names(watch), cluster.lists) == (["hub"], 1)
        await until(lambda: names(watch) == [], RELIST_S * 0.4)
        assert cluster.lists == 2
        assert names(watch) is not None, "it is believed all the time"


async def test_what_is_no_event_loses_the_watch_and_not_the_agent() -> None:
    cluster = Cluster({"hub": pod("hub", 3)})
    async with watching(cluster) as watch:
        await until(lambda: names(watch) == ["hub"])
        cluster.told.put_nowait({"type": "ADDED", "object": {"metadata": {}}})
        await until(lambda: cluster.lists == 2)
        await until(lambda: names(watch) == ["hub"])
