"""The real fencer: what lapsed is gone within W, whatever became of the agent, and nothing else is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.runtime.cgroups import Cgroups
from federation.runtime.processes import Launch
from federation.runtime.volatile import volatile_dir
from tests.support.fencer_bench import LONGEST_S, SITE, TICKS, FencerBench, cpu_ticks, fencer_bench, small_tmpfs
from tests.support.freezing import freeze

W_S = 3.0  # of the profile lab
SLEEP = "import time; time.sleep(600)"
RSS_LIMIT_KIB = 30 * 1024


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FencerBench]:
    with fencer_bench(tmp_path) as made:
        yield made


def gone(bench: FencerBench, hub: str) -> None:
    bench.until(lambda: not bench.living(hub), f"{hub} is gone", W_S)


def test_a_lapsed_hub_is_gone_within_w_with_all_that_detached_itself(bench: FencerBench) -> None:
    bench.hub("h-aaaaaa")
    bench.write(h_aaaaaa=1.0)
    bench.start()
    assert bench.living("h-aaaaaa")
    bench.rest(1.0)
    gone(bench, "h-aaaaaa")
    bench.until(lambda: bench.events("history.fenced"), "it says so")
    [line] = bench.events("history.fenced")
    assert (line["hub"], line["epoch"]) == ("h-aaaaaa", "1.1")
    bench.until(lambda: bench.ack()["killed"] == ["h-aaaaaa"], "the agent can read it")


def test_standing_and_unlapsed_hubs_are_not_touched(bench: FencerBench) -> None:
    before = {hub: bench.hub(hub) for hub in ("s-aaaaaa", "u-aaaaaa", "l-aaaaaa", "x-aaaaaa")}
    bench.write(s_aaaaaa=None, u_aaaaaa=8.0, l_aaaaaa=0.0)
    bench.start()
    gone(bench, "l-aaaaaa")
    assert {hub: bench.living(hub) for hub in before} == {**before, "l-aaaaaa": []}


def test_a_start_that_lands_late_is_killed_too(bench: FencerBench) -> None:
    bench.write(h_aaaaaa=0.0)
    bench.start()
    bench.until(lambda: bench.ack().get("seq") == 1, "read")
    bench.hub("h-aaaaaa", SLEEP, 1)
    gone(bench, "h-aaaaaa")


def test_a_hub_of_another_site_or_federation_is_not_touched(bench: FencerBench) -> None:
    other = {**bench.marks(HUB="h-aaaaaa"), "HUBFED_SITE": "tacc"}
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", SLEEP], env=other)
    try:
        bench.hub("h-aaaaaa")
        bench.write(h_aaaaaa=0.0)
        bench.start()
        gone(bench, "h-aaaaaa")
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_a_writer_that_is_frozen_is_fenced(bench: FencerBench) -> None:
    """As the agent under SIGSTOP: it renews no more, and its hub, stopped itself, is killed all the same."""
    hub = bench.hub("h-aaaaaa")
    bench.write(h_aaaaaa=0.5)
    bench.start()
    for who in hub:
        bench.processes.signal(who, signal.SIGSTOP)
    bench.rest(0.5)
    gone(bench, "h-aaaaaa")


def test_renewals_keep_a_hub(bench: FencerBench) -> None:
    hub = bench.hub("h-aaaaaa")
    bench.write(h_aaaaaa=5.0)
    bench.start()
    for _ in range(8):  # longer than one lease; the lease is wide, for the machine may be busy
        bench.write(h_aaaaaa=1.5)
        bench.rest(0.25)
    assert bench.living("h-aaaaaa") == hub


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, os.urandom(1000), None])
def test_garbage_or_no_file_changes_nothing(bench: FencerBench, content: bytes | None) -> None:
    standing = bench.hub("s-aaaaaa")
    bench.hub("h-aaaaaa")
    seq = bench.write(h_aaaaaa=1.5, s_aaaaaa=None)
    bench.start()
    bench.until(lambda: bench.ack().get("seq") == seq, "read")
    if content is None:
        (bench.runtime / "lease.json").unlink()
    else:
        bench.write(content)
    assert bench.living("h-aaaaaa")
    bench.rest(1.5)
    gone(bench, "h-aaaaaa")
    assert bench.living("s-aaaaaa") == standing
    assert bench.ack()["seq"] == seq


def test_a_restarted_fencer_goes_on_from_the_file(bench: FencerBench) -> None:
    standing = bench.hub("s-aaaaaa")
    bench.hub("h-aaaaaa")
    bench.write(h_aaaaaa=1.5, s_aaaaaa=None)
    bench.stop(bench.start(), signal.SIGKILL)
    bench.start()
    assert bench.living("h-aaaaaa")
    bench.rest(1.0)
    gone(bench, "h-aaaaaa")
    assert bench.living("s-aaaaaa") == standing


def test_with_nothing_in_memory_and_no_file_nothing_may_run(bench: FencerBench) -> None:
    bench.hub("h-aaaaaa")
    bench.start()
    bench.until(lambda: not bench.living("h-aaaaaa"), "gone after the grace", 6)


def test_the_edge_is_ended_with_the_last_hub(bench: FencerBench) -> None:
    edge = [sys.executable, "-I", "-S", "-c", SLEEP]
    child = subprocess.Popen(edge, env={**bench.marks(ROLE="edge")})
    bench.write(h_aaaaaa=0.5)
    bench.start()
    assert child.poll() is None
    assert child.wait(5) == -signal.SIGKILL
    after = subprocess.Popen(edge, env={**bench.marks(ROLE="edge")})  # started since: it has read the file
    try:
        bench.rest(1.5)
        assert after.poll() is None
    finally:
        after.kill()
        after.wait()


def test_the_acknowledgement_is_fresh_and_names_the_newest_file(bench: FencerBench) -> None:
    bench.write(s_aaaaaa=None)
    who = bench.start()
    for _ in range(3):
        seq = bench.write(s_aaaaaa=None)
        assert bench.until(lambda seq=seq: bench.ack().get("seq") == seq, "acknowledged", 2) < 1.0
    ack = bench.ack()
    assert (ack["boot_id"], ack["incarnation"], ack["pid"]) == (bench.clock.boot_id(), 1, who.pid)
    for _ in range(10):
        bench.rest(0.15)
        assert bench.clock.boottime_ns() - bench.ack()["at"] < 1_000_000_000


def test_a_frozen_fencer_acknowledges_nothing(bench: FencerBench) -> None:
    bench.write(s_aaaaaa=None)
    who = bench.start()
    bench.until(lambda: bench.ack().get("seq") == 1, "read")
    freeze(who.pid)
    bench.rest(0.3)
    bench.write(s_aaaaaa=None)
    bench.rest(1.0)
    assert bench.ack()["seq"] == 1
    bench.processes.signal(who, signal.SIGCONT)
    bench.until(lambda: bench.ack()["seq"] == 2, "read")


@pytest.mark.needs_root
def test_a_full_tmpfs_stops_the_acknowledgement_and_not_the_enforcing(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    small_tmpfs(runtime)
    bench = FencerBench(tmp_path, runtime)
    try:
        bench.hub("h-aaaaaa")
        bench.write(h_aaaaaa=2.0)
        bench.start()
        bench.until(lambda: bench.ack().get("seq") == 1, "read")
        with pytest.raises(OSError, match="space"):
            (runtime / "filler").write_bytes(b"x" * 100_000)
        bench.until(lambda: bench.events("fencer.ack_failed"), "said", 3)
        bench.until(lambda: not bench.living("h-aaaaaa"), "gone", 2 + W_S)
    finally:
        bench.close()
        subprocess.run(["umount", str(runtime)], check=True)


def test_one_fencer_guards_a_directory(bench: FencerBench) -> None:
    bench.start()
    words = ["--site", SITE, "--state-dir", str(bench.root), "--runtime-dir", str(bench.runtime)]
    command = [sys.executable, "-m", "agents.fencer", *words, "--longest", str(LONGEST_S)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 6
    assert "another fencer" in second.stderr


@pytest.mark.parametrize(("longest", "folder"), [("0", ""), ("nan", ""), ("9", "/proc"), ("9", "/no-such-dir")])
def test_what_cannot_be_guarded_is_refused(tmp_path: Path, longest: str, folder: str) -> None:
    runtime = Path(folder) if folder else volatile_dir(tmp_path)
    words = ["--site", SITE, "--state-dir", str(tmp_path), "--runtime-dir", str(runtime), "--longest", longest]
    done = subprocess.run(
        [sys.executable, "-m", "agents.fencer", *words], capture_output=True, text=True, timeout=20, check=False
    )
    if not folder:
        runtime.rmdir()
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def wakings(pid: int) -> int:
    """How often it has run again after it had nothing to do: the same on a slow machine as on a quick one."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_it_is_small_and_idles(bench: FencerBench) -> None:
    bench.write(s_aaaaaa=None)
    who = bench.start()
    bench.until(lambda: bench.ack().get("seq") == 1, "read")
    ticks, woken = cpu_ticks(who.pid), wakings(who.pid)
    bench.rest(5.0)
    assert wakings(who.pid) - woken < 75, "15 a second; 7 were seen"
    assert (
        cpu_ticks(who.pid) - ticks
    ) / TICKS / 5.0 < 0.05  # it does not spin; the measured figure is in the benchmarks
    status = Path(f"/proc/{who.pid}/status").read_text()
    rss = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert rss < RSS_LIMIT_KIB


def test_it_loads_nothing_heavy() -> None:
    code = "import sys, agents.fencer; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"asyncio", "grpc", "pydantic", "structlog", "yaml", "aiohttp", "subprocess", "psutil", "cryptography"}
    assert heavy.isdisjoint(loaded)
    ours = {name for name in loaded if name.split(".")[0] in {"agents", "federation"}}
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"agents", "federation"}
    assert "agents.guard" in ours
    assert not {name for name in foreign if not name.startswith("_")} - {"sitecustomize", "usercustomize"}


@pytest.mark.needs_root
def test_what_wiped_its_environment_is_found_by_the_groups_of_the_hubs_file(bench: FencerBench) -> None:
    cgroups = Cgroups.probe(f"hubfed-test-{uuid.uuid4().hex[:8]}")
    group = cgroups.group("h-aaaaaa")
    folder = bench.root / "hubs" / "h-aaaaaa"
    folder.mkdir(parents=True)
    (folder / "hub.json").write_text(json.dumps({"groups": [str(path) for path in group.every]}))
    try:
        argv = (sys.executable, "-I", "-S", "-c", SLEEP)
        who = bench.processes.spawn(Launch(argv, bench.root / "wiped.log", env={}, join=group.make()))
        bench.until(lambda: who.pid in group.members(), "it is in the group")
        assert bench.living("h-aaaaaa") == []
        bench.write(h_aaaaaa=0.0)
        bench.start()
        bench.until(lambda: not bench.processes.alive(who), "gone", W_S)
    finally:
        group.kill()
        bench.until(lambda: not group.members(), "the group is empty")
        group.remove()
        cgroups.remove()
