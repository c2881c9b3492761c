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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.etcd import safe_etcd
from tests.support.history import judge, read_history
from tests.support.student import Student

ROOT = Path(__file__).resolve().parents[2]
FEDCTL = Path(sys.executable).parent / "fedctl"


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Federation:
    """One `fedctl up --dir`."""

    folder: Path

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

    def pids(self, role: str, **more: str) -> list[int]:
        items = (i for i in self.up() if i["role"] == role)
        return [int(i["pid"]) for i in items if all(i[k] == v for k, v in more.items())]

    def hub(self, name: str) -> dict[str, Any]:
        body = json.loads(self.fedctl("get", name, "-o", "json").out)
        assert isinstance(body, dict)
        return body

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def student(self, name: str, user: str = "s01") -> Student:
        """A student in front of the class's page, by the front door."""
        port = self.hub(name)["status"]["url"].rpartition(":")[2]
        return Student(f"http://127.0.0.1:{port}", f"{name}.localhost", user)

    def login_page(self, name: str) -> bool:
        """Whether a student would see it now."""

        async def look() -> bool:
            async with self.student(name) as one:
                return await one.status("hub/login") == 200

        return asyncio.run(look())

    def serves(self, name: str) -> bool:
        """Whether fedctl says so; False while nobody answers."""
        return "  Serving  " in self.fedctl("get", name, ok=False).out

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

    def judge(self) -> None:
        """Every end-to-end test is judged by the checker of histories: one copy, epochs rise, no open without grant."""
        history = read_history(sorted((self.dir / "logs").glob("agent-*.log")))
        assert any(entry.event == "start" for entry in history), "nothing was recorded that could be judged"
        assert judge(history) == []

    def logs(self) -> str:
        text = ""
        for log in sorted((self.dir / "logs").glob("*.log")):
            text += f"\n== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
        return text[-12000:]


@contextmanager
def federation(profile: str = "lab") -> Iterator[Federation]:
    """Up, and down again whatever happens; what is left running afterwards is a failure."""
    folder = Path(tempfile.mkdtemp(prefix="hubfed-test-"))
    folder.chmod(0o711)
    here = Federation(folder)
    safe_etcd()  # in the cache, where `fedctl up` prefers it to one that must not be killed
    try:
        here.up("--profile", profile)
        yield here
        here.judge()
    finally:
        here.fedctl("down", "--dir", str(here.dir), ok=False)
        left = marked(str(here.dir.resolve()))
        shutil.rmtree(folder, ignore_errors=True)
        assert left == [], f"left running after down: {left}"


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


def until(true: Callable[[], bool], what: str, limit_s: float = 60.0, explain: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}\n{explain()}"
        time.sleep(0.1)
