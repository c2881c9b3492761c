"""Two clusters, each with a node, for all tests of this folder; each test has a namespace of its own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.network import Network, network
from tests.support.three_hosts import EVERY_HOST
from tests.testbed import hub_chart
from tests.testbed.api import Api, Refused
from tests.testbed.cluster import Cluster, api_cluster, node_clusters, nodes_can_be_had
from tests.testbed.machine import Machine


@dataclass(frozen=True, slots=True)
class Sites:
    """Two clusters that are up at once, and the network between them; what the machine was like before."""

    net: Network
    iu: Cluster
    tacc: Cluster
    before: Machine


@pytest.fixture(scope="package")
def sites() -> Iterator[Sites]:
    nodes_can_be_had()
    before = Machine.now()
    with ExitStack() as stack:
        net = stack.enter_context(network(*EVERY_HOST))
        iu, tacc = stack.enter_context(node_clusters(net, "iu", "tacc"))
        yield Sites(net, iu, tacc, before)
    assert Machine.now() == before, "something of the clusters is left, or a setting is not what it was"


@pytest.fixture(scope="package")
def api_only() -> Iterator[Cluster]:
    with api_cluster() as cluster:
        yield cluster


def new_namespace(api: Api) -> str:
    """Its name."""
    name = f"test-{secrets.token_hex(4)}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def remove_namespace(api: Api, name: str, limit_s: float = 60.0) -> None:
    """With all that is in it; returns when it is gone. It may not be there."""
    path, deadline = f"/api/v1/namespaces/{name}", time.monotonic() + limit_s
    try:
        api.delete(path)
        while True:
            api.get(path)
            assert time.monotonic() < deadline, f"{name} is still there after {limit_s:g} s"
            time.sleep(0.1)
    except Refused as error:
        if error.status != 404:
            raise


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which chart tests of charts have shown something of."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    if any("test_chart" in report.nodeid for report in reports):
        terminalreporter.write_line(f"hubs: from {hub_chart.which()}")
