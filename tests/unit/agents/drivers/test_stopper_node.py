"""Pods of a node as a fencer there sees them: folders as a kubelet makes them, real processes in place of containers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.drivers.stopper_node import NodeStopper
from federation.core.fencing import Verdict
from federation.runtime.machine_time import boottime_ns

UID = "0a1b2c3d-1111-2222-3333-444455556666"
OTHER = "99999999-1111-2222-3333-444455556666"
S = 10**9


@dataclass
class Node:
    root: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def stopper(self) -> NodeStopper:
        return NodeStopper("hubfed-iu", self.root / "pods", self.root / "groups")

    def pod(self, namespace: str, uid: str, group: str, name: str = "jupyter-s01") -> subprocess.Popen[bytes]:
        """One with a container in `group`, below that of its pod."""
        (self.root / "pods" / f"{namespace}_{name}_{uid}").mkdir(parents=True)
        folder = self.root / "groups/pids" / group
        folder.mkdir(parents=True)
        (self.root / "groups/pids/cgroup.procs").write_text("")
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
        self.processes.append(process)
        (folder / "cgroup.procs").write_text(f"{process.pid}\n")
        return process


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "group",
    [
        f"kubepods/burstable/pod{UID}/4711",
        f"kubepods/pod{UID}/4711",
        f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/cri-4711.scope",
    ],
)
def test_processes_of_a_lapsed_hubs_pods_are_found_and_ended_however_the_kubelet_names_groups(
    node: Node, group: str
) -> None:
    ours = node.pod("a-1", UID, group)
    other = node.pod("b-2", OTHER, f"kubepods/burstable/pod{OTHER}/1")
    verdict = Verdict({"a-1": (1, 1)})
    seen = node.stopper.look(verdict)
    assert {hub: [who.pid for who in found] for hub, found in seen.hubs.items()} == {"a-1": [ours.pid]}
    node.stopper.kill("a-1", seen.hubs["a-1"])
    ours.wait(10)
    assert node.stopper.look(verdict).hubs == {}
    assert other.poll() is None


def test_a_pod_that_works_on_homes_is_left_alone(node: Node) -> None:
    """What a lost site had not sent is saved after its hub has ended."""
    node.pod("a-1", UID, f"kubepods/burstable/pod{UID}/1", name="homes-save-1a2b3c4d")
    assert node.stopper.look(Verdict({"a-1": (1, 1)})).hubs == {}


def test_an_edge_that_was_started_before_all_was_over_is_ended_and_a_later_one_is_not(node: Node) -> None:
    edge = node.pod("hubfed-iu", UID, f"kubepods/burstable/pod{UID}/1")
    before = node.stopper.look(Verdict({"a-1": (1, 1)}, edge_before=1))
    assert before.edge == []
    after = node.stopper.look(Verdict({"a-1": (1, 1)}, edge_before=boottime_ns() + S))
    assert [who.pid for who in after.edge] == [edge.pid]


def test_a_machine_without_pods_says_what_is_missing(tmp_path: Path) -> None:
    stopper = NodeStopper("hubfed-iu", tmp_path / "pods", tmp_path / "groups")
    assert "which pods are here is not known" in stopper.trouble()
    assert stopper.look(Verdict({"a-1": (1, 1)})).hubs == {}
