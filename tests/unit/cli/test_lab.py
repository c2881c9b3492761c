"""Outages on purpose: which processes they hit, what the supervisor is told, and that nothing survives a kill."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.cli.completion import _domains
from federation.cli.local import lab
from federation.cli.local.layout import Layout, prepare
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import Found, Launch, ProcessId, SystemProcesses

SLEEP = "import time; time.sleep(300)"
TWO = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}], env={{}})"
"""A student's server with a kernel that wiped its environment."""


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    here = Layout(tmp_path)
    yield here
    processes = SystemProcesses(SystemClock())
    for found in processes.find(here.marks):
        processes.signal(found.id, signal.SIGKILL)


@pytest.fixture
def processes() -> SystemProcesses:
    return SystemProcesses(SystemClock())


def start(layout: Layout, processes: SystemProcesses, site: str, role: str, code: str = SLEEP) -> ProcessId:
    env = {**layout.marks, "HUBFED_SITE": site, "HUBFED_ROLE": role, "PATH": os.defpath}
    return processes.spawn(Launch((sys.executable, "-c", code), layout.root / "log", env=env))


def wait_for(layout: Layout, processes: SystemProcesses, site: str, count: int) -> None:
    while len(processes.find({**layout.marks, "HUBFED_SITE": site})) < count:
        pass


def test_a_process_without_a_role_is_of_its_nearest_ancestors() -> None:
    def found(pid: int, parent: int, role: str = "") -> Found:
        return Found(ProcessId(pid, 1), parent, {"HUBFED_ROLE": role} if role else {})

    tree = [found(1, 0, "agent"), found(2, 1, "edge"), found(3, 1), found(4, 3), found(5, 2), found(6, 99)]
    assert {who.pid: role for who, role in lab.of_roles(tree, ("agent",)).items()} == {
        1: "agent",
        3: "agent",
        4: "agent",
    }
    assert {who.pid for who in lab.of_roles(tree, ("edge",))} == {2, 5}
    for role in ("canary", "copy"):
        assert list(lab.of_roles([found(7, 1, role)], ("agent",)).values()) == ["agent"], "the agent's, for a moment"
    assert {who.pid for who in lab.of_roles(tree, lab.ROLES)} == {1, 2, 3, 4, 5}


def test_outages_are_files_that_add_up_and_end(layout: Layout) -> None:
    disk = LocalDisk()
    assert lab.outages(layout, disk) == {}
    lab.declare(layout, "iu", ("edge",), disk)
    lab.declare(layout, "iu", ("agent",), disk)
    assert lab.outages(layout, disk) == {"iu": lab.Outage("iu", ("agent", "edge"))}
    lab.end(layout, "iu")
    lab.end(layout, "iu")
    assert lab.outages(layout, disk) == {}


def test_a_file_that_cannot_be_read_holds_everything(layout: Layout) -> None:
    (layout.root / "lab").mkdir()
    (layout.root / "lab/iu.down").write_bytes(b"{")
    assert lab.outages(layout, LocalDisk())["iu"].holds("agent")


def test_a_kill_reaches_what_wiped_its_marks_and_nobody_elses(layout: Layout, processes: SystemProcesses) -> None:
    start(layout, processes, "iu", "server", TWO)
    agent, other = start(layout, processes, "iu", "agent"), start(layout, processes, "tacc", "agent")
    wait_for(layout, processes, "iu", 3)
    assert sorted(lab.kill(layout, "iu", ("server",), processes).values()) == ["server", "server"]
    assert processes.alive(agent)
    assert list(lab.kill(layout, "iu", lab.ROLES, processes).values()) == ["agent"]
    assert processes.find({**layout.marks, "HUBFED_SITE": "iu"}) == []
    assert processes.alive(other)
    assert lab.kill(layout, "iu", lab.ROLES, processes) == {}, "a second time there is nothing to do"


def test_what_is_frozen_stands_still_until_it_is_thawed(layout: Layout, processes: SystemProcesses) -> None:
    agent = start(layout, processes, "iu", "agent")
    wait_for(layout, processes, "iu", 1)
    assert lab.freeze(layout, "iu", lab.ROLES, processes) == {agent: "agent"}
    assert lab.frozen(agent)
    assert lab.freeze(layout, "iu", lab.ROLES, processes) == {}
    assert lab.thaw(layout, "iu", processes) == {agent: "agent"}
    assert not lab.frozen(agent)
    lab.freeze(layout, "iu", lab.ROLES, processes)
    assert lab.kill(layout, "iu", lab.ROLES, processes) == {agent: "agent"}, "also what is frozen dies"


def test_sites_and_the_witness_are_completed_from_the_directory(tmp_path: Path) -> None:
    prepare(Layout(tmp_path / "f"), ("iu", "tacc"), SystemClock(), LocalDisk())
    assert _domains(argparse.Namespace(dir=tmp_path / "f")) == ["iu", "tacc", "witness"]
    assert _domains(argparse.Namespace(dir=tmp_path / "nothing")) == []
