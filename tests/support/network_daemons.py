"""Daemons on hosts with a network of their own: who ends is started again, and is on record. Hosts lose power and boot."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from federation.runtime.cgroups import Cgroups, site_group
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from tests.support.history import Entry, read_history
from tests.support.network import Network
from tests.support.own_boot import Boot, refused

SITES = ("iu", "tacc")
HOSTS = (*SITES, "witness")
KEPT = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "HUBFED_TEST_RUN")
LOOK_S = 0.2
UPTIMES_S = {"iu": 1_000_000, "tacc": 2_000_000, "witness": 3_000_000}  # no host's time is another's
YOUNG_S = 5  # uptime when the daemons of a host that boots begin
RECORDERS = ("agent", "fencer")


@dataclass
class Daemons:
    """What runs on the hosts, started again when it ends, as systemd does it; what ended is on record."""

    net: Network
    folder: Path
    memory: Path  # of each host a folder that a boot empties
    commands: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    running: dict[tuple[str, str], subprocess.Popen[bytes]] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    boots: dict[str, Boot] = field(default_factory=dict)
    earlier: list[Entry] = field(default_factory=list)  # what sites recorded in boots that are over
    off: set[str] = field(default_factory=set)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        if not refused():
            for host, uptime_s in UPTIMES_S.items():
                self.boots[host] = Boot.at_uptime(uptime_s, self._boot_id(host))

    def start(self, host: str, role: str, *words: object) -> None:
        self.commands[host, role] = [str(word) for word in words]
        self._launch(host, role)

    def tend(self) -> None:
        """From now on what ends is started again."""
        self._thread = threading.Thread(target=self._tend)
        self._thread.start()

    def power_off(self, host: str) -> None:
        """All processes of the host end at once, and what it had in memory is gone."""
        with self._changing:
            self.off.add(host)
        self.net.end_all(host)
        for where, role in [known for known in self.running if known[0] == host]:
            self.running.pop((where, role)).wait()
        self.earlier += self._recorded(host)
        self.earlier.append(Entry(SystemClock().boottime_ns(), host, "lost power", "", (0, 0)))
        logs = self.folder / "logs" / f"earlier-{host}-{len(self.earlier)}"
        logs.mkdir()
        for log in (self.folder / "logs").glob(f"*-{host}.log"):
            log.rename(logs / log.name)
        Cgroups.probe(site_group(str(self.folder), host)).remove()

    def power_on(
        self, host: str, *, uptime_s: int = YOUNG_S, keeps_memory: bool = False, without: Iterable[str] = ()
    ) -> None:
        """It boots: another boot id, and clocks that begin again; `without` these roles, which `launch` brings later.
        `keeps_memory`: files that should be gone are there as they were."""
        boot_id = self._boot_id(host)
        boot_id.unlink()
        self.boots[host] = Boot.at_uptime(uptime_s, boot_id)
        if not keeps_memory:
            shutil.rmtree(self.memory / host)
            (self.memory / host).mkdir(mode=0o700)
        for where, role in self.commands:
            if where == host and role not in without:
                self.launch(host, role)
        with self._changing:
            self.off.discard(host)

    def launch(self, host: str, role: str) -> None:
        """What was started before, or what was left out when the host booted."""
        with self._changing:
            self._launch(host, role)

    def history(self) -> list[Entry]:
        """What agents and fencers recorded, in the machine's time."""
        return [*self.earlier, *(entry for site in SITES for entry in self._recorded(site))]

    def _recorded(self, site: str) -> list[Entry]:
        """In this boot."""
        logs = [self.folder / "logs" / f"{role}-{site}.log" for role in RECORDERS]
        entries, boot = read_history(log for log in logs if log.exists()), self.boots.get(site)
        return [replace(e, at_ns=boot.true_ns(e.at_ns)) for e in entries] if boot is not None else entries

    def _boot_id(self, host: str) -> Path:
        return self.folder / f"boot-id-{host}"

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
            with self._changing:
                self._start_again()

    def _start_again(self) -> None:
        for (host, role), process in list(self.running.items()):
            if host not in self.off and process.poll() is not None:
                self.ended.append(f"{role} at {host}: {process.returncode}")
                self._launch(host, role)

    def _launch(self, host: str, role: str) -> None:
        marks = {"HUBFED_DIR": str(self.folder), "HUBFED_ROLE": role, "HUBFED_SITE": host}
        env = {**{name: os.environ[name] for name in KEPT if name in os.environ}, **marks}
        with (self.folder / "logs" / f"{role}-{host}.log").open("ab") as log, self.net.inside(host):
            before = self.boots[host].words() if host in self.boots else []
            command = [*before, *self.commands[host, role]]
            self.running[host, role] = subprocess.Popen(command, env=env, cwd=self.folder, stdout=log, stderr=log)
