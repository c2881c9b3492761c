"""The fencer on a node: it ends the pods of a lapsed hub although the cluster's API server hangs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.drivers.kubernetes import paths
from tests.e2e.kubernetes.cluster_site import ClusterSite, cluster_site
from tests.e2e.kubernetes.conftest import Sites, new_namespace, remove_namespace
from tests.support.freezing import freeze
from tests.testbed import homes_image, pods
from tests.testbed.api import Refused
from tests.testbed.binaries import BUILT_S

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

S = 10**9
KUBE_API = "kube-apiserver"
sequence = count(1)


@dataclass
class Bench:
    """A hub of two pods, told from all other processes by how long they sleep; a desk that answers for an agent."""

    here: ClusterSite
    said: Callable[[], str]  # by the fencer
    hub: str
    lasts: str

    def write(self, seconds: float | None) -> None:
        """The lease file of an agent whose hub is to be stopped so many seconds from now, or has no deadline."""
        stop = None if seconds is None else self.here.clock.boottime_ns() + int(seconds * S)
        hubs = {self.hub: {"epoch": [1, 1], "close_at": stop, "stop_by": stop}}
        body = {"boot_id": self.here.clock.boot_id(), "incarnation": 1, "seq": next(sequence), "hubs": hubs}
        self.here.write_lease(json.dumps(body).encode())

    def ack(self) -> dict[str, Any]:
        path = self.here.node_runtime / "ack.json"
        content: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return content

    def living(self) -> set[int]:
        """What runs in the hub's pods, as the machine shows it."""
        found = set()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if self.lasts.encode() in words:
                    found.add(int(folder.name))
        return found

    async def until(self, true: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > limit_s:
                pytest.fail(f"not within {limit_s:g} s: {what}\n{self.said()}")
            await asyncio.sleep(0.05)

    async def stays_gone(self, seconds: float) -> None:
        """A kubelet starts containers again: none of them lives longer than a moment."""
        lived: dict[int, float] = {}
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            now = time.monotonic()
            lived = {pid: lived.get(pid, now) for pid in self.living()}
            assert all(now - since < 2 for since in lived.values()), "something lives on"
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(params=["a process", "our chart"])
async def bench(sites: Sites, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    by_chart = request.param == "our chart"
    if by_chart:
        assert sites.iu.node is not None
        sites.iu.node.add_images([await asyncio.to_thread(homes_image.homes)])
    api, lasts = sites.iu.api, str(70_000 + next(sequence))
    hub = new_namespace(api)
    script = f"sleep {lasts}"
    server = pods.pod("jupyter-s01", script)
    pods.start(api, hub, server)
    template = {"metadata": {"labels": {"app": "hub"}}, "spec": {**server["spec"], "restartPolicy": "Always"}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "hub"}}, "template": template}
    api.create(paths.deployments(hub), {"metadata": {"name": "hub"}, "spec": spec})
    with cluster_site(sites, edge_inside=False) as here:
        async with here.desk():
            namespace = new_namespace(api)
            said = begin(here, namespace, by_chart=by_chart)
            made = Bench(here, said, hub, lasts)
            made.write(None)
            await made.until(lambda: len(made.living()) >= 2, "both pods run", 60)
            await made.until(lambda: made.ack().get("incarnation", 0) > 0, "the fencer was answered", 60)
            try:
                yield made
            finally:
                await here.processes.stop(here.marks, grace_s=0.0)
                remove_namespace(api, namespace)
                remove_namespace(api, hub)


def begin(here: ClusterSite, namespace: str, *, by_chart: bool) -> Callable[[], str]:
    """A fencer on the node; what it says."""
    if not by_chart:
        here.start_node_fencer()
        return here.fencer_log.read_text
    api, found = here.sites.iu.api, here.install_node_fencer(namespace)

    def said() -> str:
        lines = []
        for pod in api.items(found):
            lines.append(json.dumps(pod.get("status")))
            with suppress(Refused):
                lines.append(api.text(f"{found}/{pod['metadata']['name']}/log", tailLines="50"))
        return "\n".join(lines)

    return said


async def test_a_lapsed_hub_is_ended_on_the_node_while_the_api_server_hangs(sites: Sites, bench: Bench) -> None:
    before = bench.living()
    api_server = sites.iu.daemons.running[KUBE_API].pid
    freeze(api_server)
    try:
        bench.write(1.0)
        await bench.until(lambda: not before & bench.living(), "what ran is gone", 5)
        await bench.stays_gone(6)
    finally:
        os.kill(api_server, signal.SIGCONT)


async def test_with_the_agent_silent_its_last_word_counts_and_then_nothing_runs(bench: Bench) -> None:
    before = bench.living()
    bench.write(3.0)
    before_ack = bench.ack()["incarnation"]
    await bench.until(lambda: bench.ack()["incarnation"] > before_ack, "it is heard")
    bench.here.lease_file.unlink()  # the desk has nothing more to say
    assert bench.living() == before
    await bench.until(lambda: not before & bench.living(), "what ran is gone", 8)


async def test_a_standing_hub_and_what_is_no_hub_are_left_alone(bench: Bench) -> None:
    before = bench.living()
    await asyncio.sleep(3)
    assert bench.living() == before
