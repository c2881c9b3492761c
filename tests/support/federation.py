"""A real federation on this machine, driven only by fedctl: for end-to-end tests. Leaves no process and no file behind."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from federation.cli.local.layout import Layout, load
from federation.cli.local.status import Running, running
from federation.runtime.cgroups import site_group
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import SystemProcesses
from tests.support.etcd import safe_etcd
from tests.support.history import Entry, judge, read_history
from tests.support.student import Student

ROOT = Path(__file__).resolve().parents[2]
FEDCTL = Path(sys.executable).parent / "fedctl"
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Federation:
    """One `fedctl up --dir`."""

    folder: Path
    kills: list[Entry] = field(default_factory=list)  # sites that a test killed or froze whole

    @property
    def dir(self) -> Path:
        return self.folder / "federation"

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "XDG_CONFIG_HOME": str(self.folder / "config")}

    def fedctl(self, *words: str, limit_s: float = 120.0, ok: bool = True) -> Answer:
        done = subprocess.run(
            [FEDCTL, *words], env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False
        )
        assert not ok or done.returncode == 0, (
            f"fedctl {words}: {done.returncode}\n{done.stdout}{done.stderr}{self.logs()}"
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A fedctl that goes on while the test does something."""
        return subprocess.Popen(
            [FEDCTL, *words], env=self.env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def up(self, *more: str) -> list[dict[str, Any]]:
        items = json.loads(self.fedctl("up", "--dir", str(self.dir), "-o", "json", *more).out)["items"]
        assert isinstance(items, list)
        return items

    def running(self, **wanted: str) -> list[Running]:
        """What `fedctl up -o json` lists, without its wait until all is well; `role`, `hub`, `site` narrow it down."""
        layout, disk = Layout(self.dir), LocalDisk()
        choices = load(layout, disk)
        assert choices is not None
        every = running(layout, choices, SystemProcesses(SystemClock()))
        return [item for item in every if all(getattr(item, k) == v for k, v in wanted.items())]

    def pids(self, role: str, **more: str) -> list[int]:
        return [item.pid for item in self.running(role=role, **more)]

    @contextmanager
    def placed(self, name: str, **spec: Any) -> Iterator[str]:
        """A class that serves, and its password; retired at the end, so that later tests have the machine to themselves."""
        yield password(self.fedctl("place", str(self.classroom(name, **spec))))
        self.fedctl("retire", name, "--no-wait")

    def hub(self, name: str) -> dict[str, Any]:
        body = json.loads(self.fedctl("get", name, "-o", "json").out)
        assert isinstance(body, dict)
        return body

    def lab(self, action: str, site: str, *more: str) -> None:
        """Kill, freeze or heal a site; a whole one that is killed or frozen is on record."""
        self.fedctl("lab", action, site, "--dir", str(self.dir), *more)
        event = {"kill": "killed", "freeze": "frozen"}.get(action)
        if event and not more:
            self.kills.append(Entry(SystemClock().boottime_ns(), site, event, "", (0, 0)))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def student(self, name: str, user: str = "s01") -> Student:
        """A student in front of the class's page, by the front door."""
        port = json.loads((self.dir / "choices.json").read_text())["ports"]["frontdoor"]
        return Student(f"http://127.0.0.1:{port}", f"{name}.localhost", user)

    def in_the_office(self, work: Callable[[], Coroutine[Any, Any, A]]) -> A:
        """What a student does in front of a browser."""
        return asyncio.run(work())

    def status(self, name: str) -> int:
        """What a student's browser would get now for the login page; 404 for a name that leads nowhere."""

        async def look() -> int:
            async with self.student(name) as one:
                return await one.status("hub/login")

        return asyncio.run(look())

    def login_page(self, name: str) -> bool:
        """Whether a student would see it now."""
        return self.status(name) == 200

    def homes(self, name: str) -> Path:
        """Where the class's homes are on this machine, as fedctl says."""
        return Path(self.hub(name)["status"]["homes"])

    def condition(self, name: str, kind: str) -> str:
        """Its status; empty while nobody answers."""
        answer = self.fedctl("get", name, "-o", "json", ok=False)
        said = json.loads(answer.out)["status"]["conditions"] if answer.code == 0 else []
        return next((str(c["status"]) for c in said if c["type"] == kind), "")

    def serves(self, name: str) -> bool:
        """Whether fedctl says so; False while nobody answers."""
        return self.condition(name, "Serving") == "True"

    def classroom(self, name: str, **spec: Any) -> Path:
        """A classroom file of three students."""
        body = {
            "apiVersion": "hubfed/v1",
            "kind": "Classroom",
            "metadata": {"name": name},
            "spec": {
                "term": {"start": "2026-08-24", "end": "2027-05-14", "timezone": "America/Chicago"},
                "contacts": {"instructor": "prof", "support": "desk"},
                "roster": {"expected": 3, "admins": ["prof"], "users": ["s01", "s02", "s03"]},
                "auth": {"type": "dummy"},
                "image": {"name": "example/lab", "tag": "2026aug"},
                "placement": {"allow": ["iu", "tacc"], "prefer": "iu"},
                "dns": {"host": f"{name}.localhost"},
                **spec,
            },
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body))
        return path

    def history(self) -> list[Entry]:
        """What all agents and fencers recorded, and which sites were killed, in order."""
        logs = [log for part in ("agent", "fencer") for log in (self.dir / "logs").glob(f"{part}-*.log")]
        return sorted([*read_history(logs), *self.kills], key=lambda entry: entry.at_ns)

    def judge(self) -> None:
        """Every end-to-end test is judged by the checker of histories: one copy, epochs rise, no open without grant."""
        assert judge(self.history()) == []

    def logs(self) -> str:
        text = ""
        every = (self.dir / "logs").glob("*.log")
        for log in sorted(
            every, key=lambda path: (not path.name.startswith("etcd"), path.name)
        ):  # the start is cut off
            text += f"\n== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        return text[-12000:]


@contextmanager
def federation(profile: str = "lab") -> Iterator[Federation]:
    """Up, and down again whatever happens; what is left running afterwards is a failure."""
    folder = Path(tempfile.mkdtemp(prefix="hubfed-test-"))
    folder.chmod(0o711)
    here = Federation(folder)
    safe_etcd()  # in the cache, where `fedctl up` prefers it to one that must not be killed
    subprocess.run([ROOT / "scripts/get-restic"], check=True, capture_output=True, timeout=300)
    try:
        here.up("--profile", profile)
        yield here
        here.judge()
        assert any(entry.event == "start" for entry in here.history()), "nothing was recorded that could be judged"
    finally:
        here.fedctl("down", "--dir", str(here.dir), "--delete", "--yes", ok=False)
        left = [*marked(str(here.dir.resolve())), *groups(str(here.dir.resolve()))]
        shutil.rmtree(folder, ignore_errors=True)
        assert left == [], f"left running after down: {left}"


def password(answer: Answer) -> str:
    """What a first place shows once; empty if the class has a secret of its own."""
    return answer.err.partition("shown only now: ")[2].partition("\n")[0]


def marked(directory: str) -> list[str]:
    """Processes that carry a federation's mark."""
    needle = f"HUBFED_DIR={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"{entry.name} {command[:100]}")
            except OSError:
                continue
    return found


def groups(directory: str) -> list[str]:
    """Control groups that a federation has left."""
    own = site_group(directory, "")
    return [str(path) for path in Path("/sys/fs/cgroup").rglob(f"{own}*")]


def until(
    true: Callable[[], bool],
    what: str,
    limit_s: float = 60.0,
    explain: Callable[[], str] = lambda: "",
    every_s: float = 0.1,
) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}\n{explain()}"
        time.sleep(every_s)
