"""Processes: found by marks and groups, stopped for sure, never the wrong one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from federation.model.errors import DeadlineExceeded, DriverError, Unavailable
from federation.runtime.cgroups import Cgroups, Group, Limits
from federation.runtime.clock import SystemClock
from federation.runtime.processes import Launch, ProcessId, SystemProcesses, inherited

SLEEP = "import time; time.sleep(60)"
KERNEL = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", {SLEEP!r}])
time.sleep(60)
"""
DOUBLE_FORK = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(60)
"""
WIPED = f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-S", "-c", {SLEEP!r}], {{}})
    os._exit(0)
os.wait()
os._exit(0)
"""
HIDING = WIPED.replace("os.wait()\nos._exit(0)", "os.wait(); print('alone', flush=True); import time; time.sleep(60)")
HIDING = HIDING.replace(repr(SLEEP), repr(f"print('hidden', flush=True); {SLEEP}"))
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


@pytest.fixture
def processes() -> SystemProcesses:
    return SystemProcesses(SystemClock())


@pytest.fixture
async def marks(processes: SystemProcesses) -> AsyncIterator[dict[str, str]]:
    mine = {"HUBFED_HUB": f"test-{uuid.uuid4().hex}"}
    yield mine
    await processes.stop(mine, grace_s=0.0)


def python(code: str, marks: dict[str, str], log: Path, join: tuple[Path, ...] = ()) -> Launch:
    return Launch((sys.executable, "-S", "-c", code), log, env={**inherited(), **marks}, join=join)


async def found(processes: SystemProcesses, marks: dict[str, str], count: int, group: Group | None = None) -> None:
    clock = SystemClock()
    deadline_mono = clock.mono() + 8
    while len(processes.find(marks, group)) != count:
        assert clock.mono() < deadline_mono, processes.find(marks, group)
        await clock.sleep(0.02)


async def test_a_started_process_has_its_own_session_and_no_input(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    who = processes.spawn(python(SLEEP, marks, tmp_path / "log"))
    assert processes.alive(who)
    assert os.getsid(who.pid) == who.pid
    assert Path(f"/proc/{who.pid}/fd/0").readlink() == Path("/dev/null")


@pytest.mark.parametrize(("code", "count"), [(SLEEP, 1), (KERNEL, 2), (DOUBLE_FORK, 2)])
async def test_stop_ends_it_with_everything_it_started(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path, code: str, count: int
) -> None:
    processes.spawn(python(code, marks, tmp_path / "log"))
    await found(processes, marks, count)
    assert await processes.stop(marks) == count
    assert processes.find(marks) == []


async def test_with_keep_descendants_nothing_hides_by_detaching_without_marks(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    processes.spawn(replace(python(HIDING, marks, tmp_path / "log"), keep_descendants=True))
    while len((tmp_path / "log").read_text().split()) < 2:  # halfway there are two as well
        await SystemClock().sleep(0.02)
    await found(processes, marks, 2)
    assert await processes.stop(marks) == 2


async def test_what_ignores_the_polite_signal_is_killed(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    who = processes.spawn(python(STUBBORN, marks, tmp_path / "log"))
    clock = SystemClock()
    while not (tmp_path / "log").read_text():
        await clock.sleep(0.02)
    await processes.stop(marks, grace_s=0.2)
    assert not processes.alive(who)


@pytest.mark.needs_root
async def test_a_group_holds_even_what_wiped_its_environment(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    cgroups = Cgroups.probe(f"hubfed-test-{uuid.uuid4().hex[:8]}")
    group = cgroups.group("hub")
    try:
        processes.spawn(python(WIPED, marks, tmp_path / "log", join=group.make()))
        await found(processes, marks, 0)
        await found(processes, {}, 1, group)
        assert await processes.stop(marks, group=group, grace_s=0.1) >= 1
        assert group.members() == set()
    finally:
        cgroups.remove()
    assert cgroups.member_root is not None
    assert not cgroups.member_root.exists()


@pytest.mark.needs_root
async def test_a_group_enforces_its_memory_limit(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    cgroups = Cgroups.probe(f"hubfed-test-{uuid.uuid4().hex[:8]}")
    group = cgroups.group("hub")
    try:
        if not cgroups.limits_memory:
            pytest.skip(cgroups.reason)
        join = group.make(Limits(memory_bytes=64 << 20))
        eat = python("x = bytearray(500 << 20); print(len(x))", marks, tmp_path / "log", join=join)
        finished = await processes.run(eat, timeout_s=8)
        assert finished.code == -signal.SIGKILL
    finally:
        await processes.stop(marks, group=group, grace_s=0.0)
        cgroups.remove()


async def test_a_reused_pid_is_never_signalled(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    who = processes.spawn(python(SLEEP, marks, tmp_path / "log"))
    earlier = ProcessId(who.pid, who.started - 1)
    assert not processes.alive(earlier)
    assert not processes.signal(earlier, signal.SIGKILL)
    assert processes.alive(who)


async def test_only_all_marks_together_find_a_process(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    processes.spawn(python(SLEEP, {**marks, "HUBFED_ROLE": "hub"}, tmp_path / "log"))
    while not processes.find({**marks, "HUBFED_ROLE": "hub"}):  # its environment shows a moment after it was started
        await asyncio.sleep(0.01)
    assert len(processes.find({**marks, "HUBFED_ROLE": "hub"})) == 1
    assert processes.find({**marks, "HUBFED_ROLE": "proxy"}) == []


async def test_one_role_can_be_stopped_without_what_it_started(
    processes: SystemProcesses, marks: dict[str, str], tmp_path: Path
) -> None:
    server = {**os.environ, **marks, "HUBFED_ROLE": "server"}
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}], env={server!r}); {SLEEP}"
    processes.spawn(python(code, {**marks, "HUBFED_ROLE": "hub"}, tmp_path / "log"))
    await found(processes, {**marks, "HUBFED_ROLE": "server"}, 1)  # until its exec it has the marks of its parent
    await processes.stop({**marks, "HUBFED_ROLE": "hub"}, descendants=False)
    assert [process.marks["HUBFED_ROLE"] for process in processes.find(marks)] == ["server"]


async def test_no_marks_and_no_group_find_nothing(processes: SystemProcesses) -> None:
    assert processes.find({}) == []


async def test_what_is_left_after_the_limit_is_named(marks: dict[str, str], tmp_path: Path) -> None:
    class Deaf(SystemProcesses):
        def signal(self, who: ProcessId, number: int) -> bool:
            return True

    deaf = Deaf(SystemClock())
    who = deaf.spawn(python(SLEEP, marks, tmp_path / "log"))
    with pytest.raises(DriverError, match=str(who.pid)):
        await deaf.stop(marks, grace_s=0.1, limit_s=0.3)


async def test_run_returns_code_and_output(processes: SystemProcesses, marks: dict[str, str], tmp_path: Path) -> None:
    finished = await processes.run(python("import sys; print('hi'); sys.exit(3)", marks, tmp_path / "log"), timeout_s=8)
    assert (finished.code, finished.output) == (3, "hi\n")


async def test_run_ends_what_takes_too_long(processes: SystemProcesses, marks: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(DeadlineExceeded):
        await processes.run(python(KERNEL, marks, tmp_path / "log"), timeout_s=0.2)
    await found(processes, marks, 0)


def test_a_program_that_is_not_there_is_unavailable(processes: SystemProcesses, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no-such-program"):
        processes.spawn(Launch(("/no-such-program",), tmp_path / "log"))


@pytest.mark.needs_root
async def test_another_user_has_no_way_back(processes: SystemProcesses, marks: dict[str, str], tmp_path: Path) -> None:
    code = "import os; print(os.getresuid(), os.getresgid(), os.getgroups(), open('/proc/self/status').read())"
    launch = Launch(
        ("/usr/bin/python3", "-S", "-c", code), tmp_path / "log", env=inherited(), cwd=Path("/"), uid=200_001
    )
    finished = await processes.run(launch, timeout_s=8)
    assert finished.output.startswith("(200001, 200001, 200001) (200001, 200001, 200001) []")
    assert "NoNewPrivs:\t1" in finished.output


def test_a_childs_environment_holds_no_secrets_of_ours() -> None:
    env = inherited({"PATH": "/bin", "AWS_SECRET": "x", "HUBFED_DIR": "d", "HUBFED_ROLE": "agent"}, ROLE="hub")
    assert env == {"PATH": "/bin", "HUBFED_DIR": "d", "HUBFED_ROLE": "hub"}
