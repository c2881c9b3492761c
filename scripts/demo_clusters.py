"""The demo on two real Kubernetes clusters on this machine: a class, a student, a notebook, and a cluster that is cut off
while its pods still run; then everything is gone. Needs root.

Clusters, coordinators, name server and student are on hosts with a network of their own, which nothing leads out of.
KEEP=1 leaves all of it running until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytest
from demo_outage import Watched
from demo_steps import CLASS, FEDCTL, STUDENT, Steps, fedctl, password_in, read_back, study

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import ALIVE
from federation.runtime.student import Student
from tests.e2e.kubernetes.sites_in_clusters import class_in_cluster, cluster_kind
from tests.support.network import network
from tests.support.three_hosts import EVERY_HOST, NAMES, OFFICE, ThreeHosts, three_hosts
from tests.testbed import binaries, homes_image, jupyter_images
from tests.testbed.cluster import Cluster, node_clusters, nodes_can_be_had

KEEP = os.environ.get("KEEP", "") not in ("", "0")
SECTIONS = {**class_in_cluster(), "placement": {"allow": ["iu", "tacc"], "prefer": "iu"}}
STAYS_S = 12.0  # a server that lives for less may be missed, and no copy follows it


def walk(here: ThreeHosts, clusters: dict[str, Cluster], steps: Steps) -> None:
    file = here.classroom(CLASS, **SECTIONS)
    password = password_in(fedctl("place", str(file), env=here.env))
    steps.done(f"{CLASS} placed into the cluster iu, serving under its name")

    def browser() -> Student:
        return here.student(CLASS, STUDENT)

    asyncio.run(study(browser, password, steps, stays_s=STAYS_S))
    outage(here, clusters["iu"], password, steps)
    fedctl("get", env=here.env)
    print(f"\nWhat happened:\n{steps.table()}\n")


def outage(here: ThreeHosts, cluster: Cluster, password: str, steps: Steps) -> None:
    """The cluster is cut off, with pods that run on; then it is reached again."""
    seen, stopped = Watched(FEDCTL, here.env, CLASS), datetime.now(UTC)
    seen.wait(lambda: seen.has_copy_since(stopped), "the homes are copied, and the class is armed", 180)
    steps.done("homes copied to where the other site finds them; the class is armed")
    uid, lost = str(here.hub(CLASS)["metadata"]["uid"]), datetime.now(UTC)
    with here.net.cut(*here.net.both_ways("iu", "tacc", "witness", NAMES)):
        seen.wait(lambda: seen.serves_at("tacc"), "it serves at tacc", 240)
        steps.done("iu was cut off; the class serves at tacc, under the same name")
        print(f"\nAfter iu was cut off:\n{seen.timeline(lost)}\n", flush=True)
        left = [pod["metadata"]["name"] for pod in cluster.api.items(paths.pods(uid), fieldSelector=ALIVE)]
        if left:
            raise SystemExit(f"demo: it serves at tacc, and at iu there is still {', '.join(left)}")
        steps.done("none of its pods runs in the cluster that was cut off")
        asyncio.run(read_back(lambda: here.student(CLASS, STUDENT), password, steps))
    seen.wait(lambda: seen.conditions().get("PeerClean", {}).get("status") == "True", "iu confirms that it closed", 120)
    steps.done("iu is back, has confirmed that it closed, and does not serve")


def kept(here: ThreeHosts) -> None:
    """Until Ctrl-C."""
    office = f"nsenter --net=/run/netns/{here.net.namespace(OFFICE)}"
    print(
        f"It runs on until Ctrl-C. To look around, in another shell of this folder, as root:\n\n"
        f"  export XDG_CONFIG_HOME={here.env['XDG_CONFIG_HOME']} PATH={FEDCTL.parent}:$PATH\n"
        f"  {office} fedctl get -o wide\n  {office} fedctl describe {CLASS}\n",
        flush=True,
    )
    signal.pause()


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell that starts it in the background ignores Ctrl-C for it
        signal.signal(number, signal.default_int_handler)
    steps = Steps()
    try:
        nodes_can_be_had()
        binaries.helm()
        images = [*jupyter_images.jupyter(), homes_image.homes()]
        steps.done(f"programs and {len(images)} images are there (made once, in some minutes)")
        with network(*EVERY_HOST) as net, node_clusters(net, "iu", "tacc") as (iu, tacc):
            clusters = {"iu": iu, "tacc": tacc}
            steps.done("two Kubernetes clusters up, each with a node")
            kinds = {name: cluster_kind(cluster) for name, cluster in clusters.items()}
            steps.done("both have the images of classes")
            with three_hosts(net, kinds) as here, net.inside(OFFICE):
                steps.done("federation up: 2 sites, a witness, 3 coordinators, a name server")
                walk(here, clusters, steps)
                if KEEP:
                    kept(here)
    except pytest.skip.Exception as reason:
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted, everything is stopped", file=sys.stderr)
        return 0 if KEEP else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
