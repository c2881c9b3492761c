"""A test that is killed cannot clear away its cluster: the next one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.federation import until
from tests.testbed import binaries, control_groups
from tests.testbed.belongings import LOCK, NETWORK, Belongings, namespaces, sweep
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import nodes_can_be_had
from tests.testbed.machine import Machine

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]
ROOT = Path(__file__).resolve().parents[3]
BEGIN = """
import sys
from tests.support.network import network
from tests.testbed import pods
from tests.testbed.cluster import api_cluster, node_cluster
def hold(cluster):
    print(cluster.daemons.folder, flush=True)
    sys.stdin.read()
"""
WITH_A_NODE = """
with network("iu") as net, node_cluster(net, "iu") as cluster:
    path = pods.start(cluster.api, "default", pods.pod("stays", "sleep 1000"))
    pods.wait(cluster.api, path, "Running")
    hold(cluster)
"""
API_ONLY = """
with api_cluster() as cluster:
    hold(cluster)
"""


def killed(test: str) -> Path:
    """The folder of the cluster that a test had when it was killed."""
    words = [sys.executable, "-c", BEGIN + test]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        said = victim.stdout.readline().strip()
        victim.kill()
    assert said, "no cluster came up"
    return Path(said)


def test_a_cluster_of_a_killed_test_is_swept() -> None:
    binaries.kubernetes()
    folder = killed(API_ONLY)
    left = Belongings(folder, os.open(folder / LOCK, os.O_RDWR))
    assert left.processes()
    sweep()
    until(lambda: not folder.exists(), "it is swept", 30)
    assert left.processes() == set()


def test_a_node_and_its_pods_of_a_killed_test_are_swept() -> None:
    nodes_can_be_had()
    sweep()
    before = Machine.now()
    folder = killed(WITH_A_NODE)
    network = (folder / NETWORK).read_text()
    left = Belongings(folder, os.open(folder / LOCK, os.O_RDWR))
    assert any(command_of(pid).startswith("sleep 1000") for pid in left.processes()), "its pod runs on"
    assert control_groups.left(left.group)
    assert len(namespaces(network)) == 2
    sweep()
    until(lambda: not folder.exists(), "it is swept", 30)
    assert left.processes() == set()
    assert control_groups.left(left.group) == []
    assert namespaces(network) == []
    assert Machine.now() == before


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
