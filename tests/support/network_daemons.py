"""Daemons on hosts with a network of their own: who ends is started again, and is on record."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from federation.runtime.cgroups import Cgroups, site_group
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from tests.support.network import Network

SITES = ("iu", "tacc")
HOSTS = (*SITES, "witness")
KEPT = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "HUBFED_TEST_RUN")
LOOK_S = 0.2


@dataclass
class Daemons:
    """What runs on the hosts, started again when it ends, as systemd does it; what ended is on record."""

    net: Network
    folder: Path
    commands: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    running: dict[tuple[str, str], subprocess.Popen[bytes]] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, host: str, role: str, *words: object) -> None:
        self.commands[host, role] = [str(word) for word in words]
        self._launch(host, role)

    def tend(self) -> None:
        """From now on what ends is started again."""
        self._thread = threading.Thread(target=self._tend)
        self._thread.start()

    def stop(self) -> None:
        """All of it, and hubs with what they started."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        processes = SystemProcesses(SystemClock())
        asyncio.run(processes.stop({"HUBFED_DIR": str(self.folder)}, grace_s=6, limit_s=40))
        for process in self.running.values():
            process.wait()
        for site in SITES:  # an agent removes its control group only if its hubs have left it before
            Cgroups.probe(site_group(str(self.folder), site)).remove()

    def _tend(self) -> None:
        while not self._stop.wait(LOOK_S):
            for (host, role), process in list(self.running.items()):
                if process.poll() is not None:
                    self.ended.append(f"{role} at {host}: {process.returncode}")
                    self._launch(host, role)

    def _launch(self, host: str, role: str) -> None:
        marks = {"HUBFED_DIR": str(self.folder), "HUBFED_ROLE": role, "HUBFED_SITE": host}
        env = {**{name: os.environ[name] for name in KEPT if name in os.environ}, **marks}
        with (self.folder / "logs" / f"{role}-{host}.log").open("ab") as log, self.net.inside(host):
            command = self.commands[host, role]
            self.running[host, role] = subprocess.Popen(command, env=env, cwd=self.folder, stdout=log, stderr=log)
