"""What the agent hears of a real API server: at once, without asking, and nothing that nobody confirms."""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from random import Random
from typing import cast

import pytest
import pytest_asyncio

from agents.drivers.base import Capacity, Phase
from agents.drivers.cluster_kubernetes import KubernetesCluster
from agents.drivers.hub_kubernetes import KubernetesHubs
from agents.drivers.kubernetes import paths, watch
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.edge_objects import ProxyImage
from agents.drivers.kubernetes.hub_record import HubRecord
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.placeholders import Placeholders
from agents.drivers.kubernetes.refusals import ApiRefused
from agents.drivers.kubernetes.releases import Releases
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.kubernetes.student_nodes import StudentNodes
from agents.drivers.kubernetes.watches import Watches
from federation.model.errors import DriverError
from federation.runtime.clock import SystemClock
from tests.support.local_site import E1
from tests.testbed.api import Object
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.credentials import ADMIN

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

SITE = "iu"


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent looks with."""

    cluster: Cluster
    api: Api
    watches: Watches
    namespaces: Namespaces
    hubs: KubernetesHubs

    @property
    def nodes(self) -> KubernetesCluster:
        placeholders = Placeholders(self.api, lambda: ProxyImage("none"), StudentNodes)
        return KubernetesCluster(self.watches, Capacity(0, 0), StudentNodes, placeholders)

    async def hub(self) -> str:
        """A hub whose pods are there and never run: there are no nodes."""
        name = f"atm101-{secrets.token_hex(3)}"
        record = HubRecord(epoch=E1, generation=1, applied="all", server="all")
        await self.namespaces.write(await self.namespaces.to_write_on(name), record=record)
        for component in ("hub", "proxy"):
            self.cluster.api.create(paths.deployments(name), deployment(component))
        await until(lambda: all(self._made(name, one) for one in ("hub", "proxy")), "its pods are made")
        return name

    def _made(self, name: str, component: str) -> bool:
        status = self.cluster.api.get(f"{paths.deployments(name)}/{component}").get("status", {})
        return bool(status.get("updatedReplicas", 0) == status.get("replicas", 0) == 1)

    def looks_are_heard(self) -> bool:
        """All three watches tell what is so."""
        return all(one.heard() is not None for one in (self.watches.pods, self.watches.nodes, self.watches.namespaces))


def deployment(component: str) -> Object:
    labels = {"app": "jupyterhub", "component": component}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": component}, "spec": spec}


async def until(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    try:
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s:.0f} s: {what}") from None


@pytest_asyncio.fixture
async def agent(api_only: Cluster) -> AsyncIterator[Agent]:
    clock, api = SystemClock(), Api(SITE, api_only.control.files.kubeconfig(ADMIN))
    watches = Watches.of(api, clock, Random(1))
    namespaces = Namespaces(SITE, api, watches.namespaces)
    nothing = cast(KubernetesSettings, None), cast(Releases, None)  # of which no look has need
    hubs = KubernetesHubs(nothing[0], api, namespaces, nothing[1], clock, watches)
    yield Agent(api_only, api, watches, namespaces, hubs)
    for name in await namespaces.hubs():
        await api.delete(paths.namespace(name))
    await hubs.close()


async def look(agent: Agent, hub: str) -> None:
    """What an agent does every few seconds."""
    view = await agent.hubs.observe(hub)
    assert (view.phase, view.processes, view.epoch) == (Phase.STARTING, 2, E1)
    assert hub in await agent.hubs.list()
    await agent.nodes.observe()


async def test_looks_at_what_does_not_change_ask_the_api_server_nothing(agent: Agent) -> None:
    hub = await agent.hub()
    await look(agent, hub)
    await until(agent.looks_are_heard, "the watches have begun")
    await look(agent, hub)  # once more asks whether all of the hub is rolled out
    before = agent.api.asked.copy()
    for _look in range(20):
        await asyncio.sleep(0.1)
        await look(agent, hub)
    assert agent.api.asked == before


async def test_bookmarks_come_in_time_so_that_a_quiet_cluster_is_believed_for_as_long_as_it_is_quiet(
    agent: Agent,
) -> None:
    hub = await agent.hub()
    await look(agent, hub)
    await until(agent.looks_are_heard, "the watches have begun")
    await look(agent, hub)
    before = agent.api.asked.copy()
    for _second in range(round(watch.SILENT_S * 2)):
        await asyncio.sleep(1.0)
        assert agent.watches.pods.heard() is not None
        await agent.hubs.observe(hub)
    more = agent.api.asked - before  # a server that has just started sends no bookmarks of what stood still since
    assert more.total() <= 2 * 2 * 2, more


async def test_what_happens_is_heard_at_once(agent: Agent) -> None:
    hub = await agent.hub()
    await look(agent, hub)
    await until(agent.looks_are_heard, "the watches have begun")
    mirror = agent.watches.pods.mirror
    [proxy] = [pod for pod in mirror.of(hub) if pod["metadata"]["labels"]["component"] == "proxy"]
    agent.cluster.api.delete(f"{paths.pods(hub)}/{proxy['metadata']['name']}", gracePeriodSeconds="0")
    uid = proxy["metadata"]["uid"]
    await until(lambda: uid not in {pod["metadata"]["uid"] for pod in mirror.of(hub)}, "its end is heard", 5)
    await until(lambda: len(mirror.of(hub)) == 2, "another one is heard of", 5)


async def test_what_the_agent_writes_it_sees_before_the_watch_tells(agent: Agent) -> None:
    hub = await agent.hub()
    await agent.hubs.observe(hub)
    await until(lambda: agent.namespaces.heard(hub) is not None, "the watch has begun")
    for generation in range(2, 30):
        record = HubRecord(epoch=E1, generation=generation, applied="all", server="all")
        await agent.namespaces.write(await agent.namespaces.to_write_on(hub), record=record)
        assert (await agent.hubs.observe(hub)).generation == generation


async def test_a_stopped_hub_is_not_shown_again_by_a_watch_that_is_late(agent: Agent) -> None:
    hub = await agent.hub()
    await look(agent, hub)
    await until(agent.looks_are_heard, "the watches have begun")
    await agent.hubs.stop(hub, grace_s=1.0)
    for _look in range(20):
        view = await agent.hubs.observe(hub)
        assert (view.phase, view.processes) == (Phase.STOPPED, 0)
        assert hub not in await agent.hubs.list()
    before = agent.api.asked.copy()
    await until(lambda: agent.watches.pods.mirror.of(hub) == (), "the watch has told, too", 5)
    await agent.hubs.observe(hub)
    assert agent.api.asked == before


async def test_an_api_server_that_was_killed_is_heard_again_and_what_it_has_forgotten_is_listed(agent: Agent) -> None:
    hub = await agent.hub()
    await look(agent, hub)
    await until(agent.looks_are_heard, "the watches have begun")
    agent.cluster.daemons.kill("kube-apiserver")
    await until(lambda: agent.watches.pods.heard() is None, "nobody believes it any more", 5)
    with pytest.raises(DriverError, match="does not answer"):
        await agent.hubs.observe(hub)
    agent.cluster.daemons.again("kube-apiserver")
    await asyncio.to_thread(agent.cluster.control.wait)
    await until(agent.looks_are_heard, "it is heard again", watch.MOST_S + 5)
    await look(agent, hub)
    with pytest.raises(ApiRefused) as forgotten:  # it begins to remember when it starts
        async for _event in agent.api.events(paths.NAMESPACES, since=1, limit_s=5.0):
            pass
    assert forgotten.value.reason in ("Expired", "Gone"), forgotten.value.message


async def test_an_api_server_that_stands_still_is_not_believed_for_longer_than_the_limit(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENT_S", 3.0)
    hub = await agent.hub()
    await look(agent, hub)
    await until(agent.looks_are_heard, "the watches have begun")
    agent.cluster.daemons.signal("kube-apiserver", signal.SIGSTOP)
    try:
        await until(lambda: agent.watches.pods.heard() is None, "nobody believes it any more", 4)
        with pytest.raises(DriverError, match="does not answer"):
            await agent.hubs.observe(hub)
    finally:
        agent.cluster.daemons.signal("kube-apiserver", signal.SIGCONT)
    await until(agent.looks_are_heard, "it is heard again", watch.MOST_S + 5)
    await look(agent, hub)
