"""Real Kubernetes clusters for tests: `api_cluster` is only an API and needs no root, `node_cluster` has a node that runs
pods and lives on a host of a `network`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from tests.support.etcd import free_ports
from tests.support.network import Network
from tests.testbed import addons, binaries, control_groups, credentials
from tests.testbed.api import Api
from tests.testbed.belongings import Belongings, sweep
from tests.testbed.control_plane import ControlPlane, Place
from tests.testbed.credentials import Credentials
from tests.testbed.daemons import Daemons
from tests.testbed.images import basic
from tests.testbed.node import Node, refusal


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running one. Its daemons are killed, frozen and started again by name."""

    control: ControlPlane
    node: Node | None = None

    @property
    def api(self) -> Api:
        """As an administrator."""
        return self.control.api

    @property
    def daemons(self) -> Daemons:
        return self.control.daemons


@contextmanager
def api_cluster() -> Iterator[Cluster]:
    """On free ports of this machine: rules, accounts, controllers and scheduling are real, and no pod ever runs."""
    binaries.kubernetes()
    sweep()
    api, client, peer = free_ports(3)
    place = Place("127.0.0.1", "10.96.0.0/24", api_port=api, etcd_ports=(client, peer))
    with _owned(Belongings.claim()) as daemons:
        control = ControlPlane(daemons, place, _issue(daemons, place))
        control.start()
        control.wait()
        yield Cluster(control)


def nodes_can_be_had() -> None:
    """Leaves the test out, with the reason, where they cannot."""
    if reason := refusal():
        binaries.unavailable(f"no nodes here: {reason}")
    binaries.kubernetes()
    binaries.containerd()


@contextmanager
def node_cluster(net: Network, host: str) -> Iterator[Cluster]:
    """On that host of the network: with one node of its name, cluster DNS, and volumes. Needs root."""
    nodes_can_be_had()
    sweep()
    number = net.hosts.index(host) + 1
    # private addresses throughout: charts that let students go out let them go everywhere but there
    place = Place(net.address(host), f"10.{100 + number}.0.0/24", f"10.{150 + number}.0.0/24")
    with _owned(Belongings.claim(net.mark)) as daemons:
        daemons.inside, daemons.join = partial(net.inside, host), control_groups.make(daemons.belongings.group)
        control = ControlPlane(daemons, place, _issue(daemons, place, host), daemons.inside)
        node = Node(daemons, place, control.files, host)
        control.start()  # while it comes up, the node does
        node.start()
        node.add_images(basic())
        control.wait()
        addons.install(control, host)
        node.wait(control.api)
        addons.wait(control)
        yield Cluster(control, node)


@contextmanager
def node_clusters(net: Network, *hosts: str) -> Iterator[list[Cluster]]:
    """Several at once, which come up beside each other."""
    with ExitStack() as stack, ThreadPoolExecutor(len(hosts)) as pool:

        def begin(host: str) -> Cluster:
            return stack.enter_context(node_cluster(net, host))

        yield list(pool.map(begin, hosts))


@contextmanager
def _owned(belongings: Belongings) -> Iterator[Daemons]:
    """Afterwards nothing is left. SHOW_LOGS=1 shows the ends of all logs first."""
    daemons = Daemons(belongings)
    try:
        yield daemons
    finally:
        if os.environ.get("SHOW_LOGS") == "1":
            print(daemons.logs())
        belongings.release()
        daemons.reap()


def _issue(daemons: Daemons, place: Place, *nodes: str) -> Credentials:
    return credentials.issue(daemons.folder / "credentials", place.address, place.api_port, place.api_service, nodes)
