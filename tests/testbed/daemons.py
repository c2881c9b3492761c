"""The daemons of one cluster: each is started, killed, frozen and started again by its name, and has a log of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed.belongings import Belongings

KEPT = ("PATH", "HOME", "LANG", "HUBFED_TEST_RUN")
# the shell joins the control group and becomes the daemon: no moment in which it runs outside
JOIN = 'echo $$ > "$0" && exec "$@"'
LOG_LINES = 15


@dataclass
class Daemons:
    """`inside` is where they run: a network namespace, or here. `join` is the file of the control group that they join."""

    belongings: Belongings
    inside: Callable[[], AbstractContextManager[None]] = nullcontext
    join: Path | None = None
    commands: dict[str, tuple[list[str], tuple[Path, ...]]] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.belongings.folder

    def start(self, name: str, *words: object, path: Sequence[Path] = ()) -> None:
        """`path` comes before the machine's own programs."""
        self.commands[name] = [str(word) for word in words], tuple(path)
        self.again(name)

    def again(self, name: str) -> None:
        """One that was killed."""
        words, path = self.commands[name]
        env = {key: os.environ[key] for key in KEPT if key in os.environ} | self.belongings.mark
        env["PATH"] = ":".join([*map(str, path), env.get("PATH", ""), "/usr/sbin", "/sbin"])
        joining = ["/bin/sh", "-c", JOIN, str(self.join)] if self.join else []
        with self.inside(), self.log(name).open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*joining, *words],
                env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def signal(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self.running[name].kill()
        self.running[name].wait()

    def stop(self, name: str) -> None:
        """For good: it may end."""
        self.kill(name)
        del self.running[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def logs(self) -> str:
        """The end of each."""
        ends = (
            (path.stem, path.read_text(errors="replace").splitlines()) for path in sorted(self.folder.glob("*.log"))
        )
        return "\n".join(f"--- {name}\n" + "\n".join(line[:300] for line in lines[-LOG_LINES:]) for name, lines in ends)

    def until(self, true: Callable[[], bool], what: str, limit_s: float) -> None:
        """Wait; a daemon that ends meanwhile, or time that is over, is an error that shows the logs."""
        deadline = time.monotonic() + limit_s
        while not true():
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, f"{ended} ended while waiting: {what}\n{self.logs()}"
            assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}\n{self.logs()}"
            time.sleep(0.05)

    def reap(self) -> None:
        """After all of them were killed."""
        for process in self.running.values():
            process.wait()
