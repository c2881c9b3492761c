"""From `fedctl place` to a login page, beside starting the same JupyterHub and proxy by hand; and what a federation
costs while nothing happens.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.bench.side_by_side import Timing, cpu_s, rss_mib, verdict
from tests.support.federation import Federation

RUNS = 5
IDLE_S = 60.0
OURS = ("coordinator", "agent")


@dataclass(frozen=True, slots=True)
class Program:
    """How a process was started, so that it can be started again by hand."""

    words: tuple[str, ...]
    env: dict[str, str]
    folder: str

    @classmethod
    def of(cls, pid: int) -> Program:
        proc = Path(f"/proc/{pid}")
        words = tuple((proc / "cmdline").read_bytes().decode().rstrip("\0").split("\0"))
        pairs = (x.partition("=") for x in (proc / "environ").read_bytes().decode().split("\0") if x)
        env = {name: value for name, _, value in pairs if name not in ("HUBFED_DIR", "HUBFED_ROLE")}
        return cls(words, env, str((proc / "cwd").readlink()))

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.words,
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def place_and_by_hand(here: Federation) -> tuple[list[str], list[str]]:
    """In turns: place a class, retire it, start the same two programs by hand on an empty database."""
    placed, by_hand, steps = [], [], []
    for turn in range(RUNS + 1):
        name = f"bench{turn}"
        began = time.perf_counter()
        here.fedctl("place", str(here.classroom(name)))
        seconds = time.perf_counter() - began
        hub = here.hub(name)
        uid = hub["metadata"]["uid"]
        parts = [Program.of(here.pids(role, hub=uid)[0]) for role in ("proxy", "hub")]
        address = _address(parts[0])
        here.fedctl("retire", name)
        for database in Path(parts[1].folder).glob("*.sqlite*"):
            database.unlink()
        other = _start_by_hand(parts, address)
        if turn:
            placed.append(seconds)
            by_hand.append(other)
            steps.append({step["step"]: step.get("seconds", 0.0) for step in hub["status"]["operation"]["history"]})
    ours, theirs = Timing(tuple(placed)), Timing(tuple(by_hand))
    ratio = ours.median / theirs.median
    goal = f"{ratio:.2f} x; goal at most 1.3 x: {verdict(ratio, 1.3)}"
    table = [
        "| | median | beside |",
        "| --- | --- | --- |",
        f"| proxy and JupyterHub by hand, to the login page | {theirs} | 1 |",
        f"| `fedctl place`, to the login page under its name | {ours} | {goal} |",
    ]
    names = list(steps[0])
    middle = [sorted(run[name] for run in steps)[len(steps) // 2] for name in names]
    split = ["| step | done after |", "| --- | --- |"]
    split += [f"| {name} | {at:.2f} s |" for name, at in zip(names, middle, strict=True)]
    split += [f"| fedctl itself: start, check, answer | {ours.median - middle[-1]:.2f} s more |"]
    return table, split


def memory_and_idle(here: Federation) -> list[str]:
    """Resident memory of each daemon, and the processor time of all together while nobody does anything."""
    items = [item for item in here.up() if item["role"] in OURS]
    time.sleep(10)
    before = {item["pid"]: cpu_s(item["pid"]) for item in items}
    time.sleep(IDLE_S)
    used = sum(cpu_s(pid) - seconds for pid, seconds in before.items())
    lines = ["| process | resident memory |", "| --- | --- |"]
    for item in items:
        rss = rss_mib(item["pid"])
        name = " ".join(part for part in (item["role"], item["site"]) if part)
        lines.append(f"| {name} | {rss:.0f} MiB; goal at most 120: {verdict(rss, 120)} |")
    share = 100 * used / IDLE_S
    lines += ["", f"All of them together used {share:.2f} % of a core; goal below 2 %: {verdict(share, 2)}."]
    return lines


def _address(proxy: Program) -> str:
    return f"http://127.0.0.1:{proxy.words[proxy.words.index('--port') + 1]}/hub/login"


def _start_by_hand(programs: list[Program], address: str) -> float:
    began = time.perf_counter()
    children = [program.start() for program in programs]
    try:
        while not _is_there(address):
            assert time.perf_counter() - began < 60, "the hub did not start by hand"
            time.sleep(0.05)
        return time.perf_counter() - began
    finally:
        for child in children:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _is_there(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as page:
            return bool(page.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def contexts(here: Federation) -> Path:
    """The configuration folder of the federation's own fedctl."""
    folder = Path(here.env["XDG_CONFIG_HOME"])
    assert json.loads((folder / "hubfed/contexts.json").read_text())["current"]
    return folder
