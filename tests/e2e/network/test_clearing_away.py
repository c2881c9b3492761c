"""A run that was killed cannot take its hosts away: the next one does, and leaves those of runs that live."""

from __future__ import annotations

import subprocess
import sys

import pytest

from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from tests.support.federation import ROOT
from tests.support.network import NAMESPACES, clear_away, network

pytestmark = pytest.mark.needs_root
RUN = """
import subprocess, time
from tests.support.network import network
with network("one") as net:
    with net.inside("one"):
        left = subprocess.Popen(["sleep", "600"])
    print(net.mark, left.pid, flush=True)
    time.sleep(600)
"""


def test_hosts_of_a_killed_run_go_with_what_runs_there_and_those_of_a_living_one_stay() -> None:
    processes = SystemProcesses(SystemClock())
    with network("one") as ours, subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        mark, pid = run.stdout.readline().decode().split()
        theirs = NAMESPACES / f"hubfed-{mark}-one"
        clear_away()
        assert theirs.exists(), "it lives"
        run.kill()
        run.wait()
        assert processes.identify(int(pid)) is not None
        clear_away()
        assert not theirs.exists()
        assert not (NAMESPACES / f"hubfed-{mark}-router").exists()
        assert processes.identify(int(pid)) is None
        assert (NAMESPACES / ours.namespace("one")).exists()
