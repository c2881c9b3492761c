"""Two sites and a witness on three hosts with a network of their own, set up as the how-to says, names in a real BIND.

The hosts are network namespaces (`tests/support/network.py`); a fourth has the name server, a fifth those who use it all:
fedctl, students, and a secondary of the zone, which they ask. Disks are the machine's, also the folder in which sites
find each other's copies.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from federation.model.profile import PROFILES, ProfileName
from federation.runtime.clock import SystemClock
from federation.runtime.etcd_process import EtcdMemberSettings, etcd_arguments
from federation.runtime.processes import SystemProcesses
from federation.runtime.tls import TlsFiles
from tests.support.bind import KEY_NAME, ZONE, Bind, new_key, secret_of
from tests.support.etcd import safe_etcd
from tests.support.federation import FEDCTL, ROOT, Answer, Federation, marked, until
from tests.support.network import Network, network
from tests.support.onlooker import Onlooker
from tests.support.student import Student

A = TypeVar("A")
SITES = ("iu", "tacc")
HOSTS = (*SITES, "witness")
COORDINATORS = dict(zip(HOSTS, ("c1", "c2", "c3"), strict=True))
NAMES, OFFICE = "names", "office"
KEPT = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "HUBFED_TEST_RUN")
LOOK_S, LOOK_LIMIT_S = 0.2, 3.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeHosts(Federation):
    """The federation; `fedctl` and `student` are in the office."""

    net: Network
    names: Bind
    resolver: Bind
    daemons: Daemons

    @property
    def dir(self) -> Path:
        return self.folder

    @property
    def zone(self) -> str:
        return ZONE

    def fedctl(self, *words: str, limit_s: float = 120.0, ok: bool = True) -> Answer:
        with self.net.inside(OFFICE):
            return Federation.fedctl(self, *words, limit_s=limit_s, ok=ok)

    def classroom(self, name: str, **spec: object) -> Path:
        return Federation.classroom(self, name, **{"dns": {"host": self.host(name)}, **spec})

    def host(self, name: str) -> str:
        """What students type."""
        return f"{name}.{ZONE}"

    def leads_to(self, name: str) -> list[str]:
        """The addresses that students are given for a class now."""
        with self.net.inside(OFFICE):
            return self.resolver.values(self.host(name), "A")

    def student(self, name: str, user: str = "s01") -> Student:
        """Who asks the name server first; for `in_the_office`."""
        (address,) = self.leads_to(name)
        return Student(f"http://{address}", self.host(name), user)

    def student_at(self, site: str, name: str, user: str = "s01") -> Student:
        """Whose browser still has the address of this site; for `in_the_office`."""
        return Student(f"http://{self.net.address(site)}", self.host(name), user)

    def in_the_office(self, work: Callable[[], Coroutine[Any, Any, A]]) -> A:
        """What a student does in front of a browser there."""
        with self.net.inside(OFFICE):
            return asyncio.run(work())

    @contextmanager
    def watched(self, host: str, name: str, *sites: str) -> Iterator[Onlooker]:
        """A class at the edges of these sites, as it is seen on that host."""
        with ExitStack() as stack:
            with self.net.inside(host):
                addresses = {site: f"{self.net.address(site)}:80" for site in sites}
                onlooker = stack.enter_context(Onlooker(addresses, self.host(name)))
            yield onlooker

    def message(self, name: str, kind: str) -> str:
        """What a condition says; empty while nobody answers."""
        answer = self.fedctl("get", name, "-o", "json", ok=False)
        said = json.loads(answer.out)["status"]["conditions"] if answer.code == 0 else []
        return next((str(c["message"]) for c in said if c["type"] == kind), "")

    def status(self, name: str) -> int:
        """What a browser gets for the login page: 0 from an address that nobody answers at, 404 without one."""

        async def look() -> int:
            try:
                async with asyncio.timeout(LOOK_LIMIT_S), self.student(name) as one:
                    return await one.status("hub/login")
            except TimeoutError:
                return 0

        return self.in_the_office(look) if self.leads_to(name) else 404

    def well(self) -> bool:
        """Three coordinators agree on a leader, and both sites are heard."""
        answer = self.fedctl("sites", "-o", "json", ok=False)
        sites = json.loads(answer.out)["items"] if answer.code == 0 else []
        said = [c["status"] for site in sites for c in site["status"]["conditions"] if c["type"] == "Ready"]
        return said == ["True"] * len(SITES) and "STALE" not in answer.err


@contextmanager
def three_hosts() -> Iterator[ThreeHosts]:
    """Set up, and down again whatever happens; what is left running afterwards is a failure."""
    subprocess.run([ROOT / "scripts/get-restic"], check=True, capture_output=True, timeout=300)
    safe_etcd()
    with ExitStack() as stack:
        net = stack.enter_context(network(*HOSTS, NAMES, OFFICE))
        folder = Path(tempfile.mkdtemp(prefix="hubfed-network-"))
        memory = Path(f"/dev/shm/hubfed-{net.mark}")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(shutil.rmtree, memory, ignore_errors=True)
        folder.chmod(0o711)
        primary, office = net.address(NAMES), net.address(OFFICE)
        names = Bind(folder / "primary", 53, new_key(), host=primary, notifies=office)
        resolver = Bind(folder / "secondary", 53, names.key, primary=53, host=office, primary_host=primary)
        daemons = Daemons(net, folder)
        here = ThreeHosts(folder, net=net, names=names, resolver=resolver, daemons=daemons)
        stack.callback(_nothing_left, folder)
        stack.callback(names.kill)
        stack.callback(resolver.kill)
        stack.callback(daemons.stop)
        with net.inside(NAMES):
            names.start()
        with net.inside(OFFICE):
            resolver.start()
        write_files(here)
        start(here, memory)
        yield here
        here.judge()
        assert any(entry.event == "start" for entry in here.history()), "nothing was recorded that could be judged"


def write_files(here: ThreeHosts) -> None:
    """The federation file and the site files; certificates; each host's folder."""
    net, folder = here.net, here.folder
    for name in ("logs", "copies"):
        (folder / name).mkdir(mode=0o700)
    at = net.address
    federation = {
        "profile": "lab",
        "register": {
            "uuid": str(uuid.uuid4()),
            "endpoints": [f"{at(host)}:2379" for host in HOSTS],
            "tls": paths("register"),
            "prefix": "hubfed/network",
        },
        "coordinators": [
            {
                "id": COORDINATORS[host],
                **({"site": host} if host in SITES else {"witness": True}),
                "listen": f"{at(host)}:8443",
                "member": f"{at(host)}:2379",
            }
            for host in HOSTS
        ],
        "tls": paths("coordinator"),
        "names": {
            "driver": "rfc2136",
            "zone": ZONE,
            "server": here.names.address,
            "key_name": KEY_NAME,
            "key_file": "names.key",
            "resolvers": [here.resolver.address],
            "ttl": 30,
        },
    }
    write(folder / "federation.yaml", "Federation", "network", federation)
    run(here, "pki", "issue", "federation.yaml", "--out", "pki")
    run(here, "context", "add", "federation.yaml", "--cert", "pki/users/admin")
    for host in HOSTS:
        home = folder / "pki/hosts" / host
        shutil.copy(folder / "federation.yaml", home)
        (home / "names.key").write_text(secret_of(here.names.key))
        (home / "names.key").chmod(0o600)
    for site in SITES:
        spec = {
            "kind": "local",
            "capacity": {"cpu": 30, "memory": "60G"},
            "copies": {"store": str(folder / "copies")},
            "edge": {"listen": f"{at(site)}:80"},
            "agent": {
                "coordinators": [f"{at(host)}:8443" for host in HOSTS],
                "peer_address": f"{at(site)}:8445",
                "profile": "lab",
                "tls": paths("agent"),
            },
        }
        write(folder / "pki/hosts" / site / "site.yaml", "Site", site, spec)


def start(here: ThreeHosts, memory: Path) -> None:
    """In the order of the how-to; returns when classes can be placed."""
    net, folder, daemons = here.net, here.folder, here.daemons
    for host in HOSTS:
        home = folder / "pki/hosts" / host
        tls = TlsFiles(home / "etcd.ca.pem", home / "etcd.pem", home / "etcd.key")
        cluster = {one: f"{net.address(one)}:2380" for one in HOSTS}
        member = EtcdMemberSettings(
            host, folder / f"etcd-{host}", f"{net.address(host)}:2379", cluster[host], cluster, tls
        )
        daemons.start(host, "etcd", *etcd_arguments(safe_etcd(), member))
    for host in HOSTS:
        file, state = folder / "pki/hosts" / host / "federation.yaml", folder / f"coordinator-{host}"
        state.mkdir(mode=0o700)
        words = ("--federation", file, "--id", COORDINATORS[host], "--state-dir", state)
        daemons.start(host, "coordinator", program("fed-coordinator"), *words)
    daemons.tend()
    until(lambda: here.fedctl("sites", ok=False).code == 0, "a coordinator answers", 60, here.logs)
    for site in SITES:
        home, state, volatile = folder / "pki/hosts" / site, folder / f"site-{site}", memory / site
        state.mkdir()
        state.chmod(0o711)  # students get through to their homes
        volatile.mkdir(mode=0o700, parents=True)
        uid = (home / "agent.uid").read_text().strip()
        until(lambda: joins(here, home, uid), f"{site} is let in", 60, here.logs)  # noqa: B023 - called at once
        places = ("--state-dir", state, "--runtime-dir", volatile)
        longest = f"{PROFILES[ProfileName.LAB].longest_s:g}"
        daemons.start(site, "fencer", program("fed-fencer"), "--site", site, *places, "--longest", longest)
        daemons.start(site, "agent", program("fed-agent"), "--site", home / "site.yaml", *places)
    until(here.well, "both sites are heard", 60, here.logs)


def joins(here: ThreeHosts, home: Path, uid: str) -> bool:
    return here.fedctl("sites", "join", str(home / "site.yaml"), "--uid", uid, ok=False).code == 0


def paths(name: str) -> dict[str, str]:
    return {"ca": f"{name}.ca.pem", "cert": f"{name}.pem", "key": f"{name}.key"}


def write(path: Path, kind: str, name: str, spec: object) -> None:
    body = {"apiVersion": "hubfed/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    path.write_text(yaml.safe_dump(body, sort_keys=False))


def run(here: ThreeHosts, *words: str) -> None:
    done = subprocess.run([FEDCTL, *words], cwd=here.folder, env=here.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def program(name: str) -> Path:
    return Path(sys.executable).parent / name


def _nothing_left(folder: Path) -> None:
    left = marked(str(folder))
    assert left == [], f"left running: {left}"
