"""Sites of a federation that are real clusters: what their site files say, and classes that their nodes can hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agents.drivers.kubernetes.marks import edge_namespace
from federation.core.fencing import canary_of
from tests.e2e.kubernetes.conftest import Sites, remove_namespace
from tests.support.three_hosts import ThreeHosts, three_hosts
from tests.support.three_hosts_setup import SiteKind
from tests.testbed import binaries, homes_image, hub_chart, jupyter_images
from tests.testbed.accounts import account
from tests.testbed.cluster import Cluster


def cluster_kind(cluster: Cluster) -> SiteKind:
    """The site is this cluster, which has the images of classes from now on. Which one students get is for each class to
    say. Agent and fencer sign in as accounts of their own."""
    assert cluster.node is not None
    binaries.helm()
    cluster.node.add_images([*jupyter_images.jupyter(), homes_image.homes()])
    values = hub_chart.values_here()
    values["singleuser"]["image"] = {"pullPolicy": "Never"}
    folder = cluster.control.files.folder
    agent, fencer = (account(cluster, name, folder) for name in ("agent", "fencer"))
    spec: dict[str, Any] = {"kubeconfig": str(agent), "charts": str(hub_chart.chart().parent), "values": values}
    spec["image"] = homes_image.NAME
    return SiteKind({"kind": "kubernetes", "cluster": spec}, fencer=("--kubeconfig", str(fencer)))


def class_in_cluster() -> dict[str, Any]:
    """Sections of a class of which a node of two cores holds some."""
    name, _, tag = jupyter_images.USER.rpartition(":")
    small = {"memory": {"guarantee": "128M", "limit": "1G"}, "cpu": {"guarantee": 0.1, "limit": 2}}
    return {"image": {"name": name, "tag": tag}, "resources": small}


@contextmanager
def federation_of(sites: Sites, **clusters: Cluster) -> Iterator[ThreeHosts]:
    """A federation whose sites of these names are clusters; another one is local."""
    with three_hosts(sites.net, {site: cluster_kind(cluster) for site, cluster in clusters.items()}) as running:
        yield running
    for cluster in clusters.values():
        forget(cluster)


def forget(cluster: Cluster) -> None:
    """What the site's agent has left in the cluster beside hubs: clusters are for all tests."""
    assert cluster.node is not None
    for namespace in (edge_namespace(cluster.node.name), canary_of(cluster.node.name)):
        remove_namespace(cluster.api, namespace)
