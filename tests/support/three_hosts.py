"""Two sites and a witness on three hosts with a network of their own, set up as the how-to says, names in a real BIND.

The hosts are network namespaces (`tests/support/network.py`); a fourth has the name server, a fifth those who use it all:
fedctl, students, and a secondary of the zone, which they ask. Disks are the machine's, also the folder in which sites
find each other's copies.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from federation.runtime.clock import SystemClock
from federation.runtime.node import ensure_proxy
from federation.runtime.processes import SystemProcesses
from tests.support.bind import ZONE, Bind, named, new_key
from tests.support.etcd import safe_etcd
from tests.support.federation import ROOT, Answer, Federation, marked
from tests.support.history import Entry
from tests.support.network import MEMORY, Network, network
from tests.support.network_daemons import HOSTS, SITES, Daemons
from tests.support.onlooker import Onlooker
from tests.support.student import Student
from tests.support.three_hosts_setup import SiteKind, start, write_files

A = TypeVar("A")
NAMES, OFFICE = "names", "office"
LOOK_LIMIT_S = 3.0


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

    def history(self) -> list[Entry]:
        return sorted(self.daemons.history(), key=lambda entry: entry.at_ns)

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
        return next((str(c.get("message", "")) for c in said if c["type"] == kind), "")

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


EVERY_HOST = (*HOSTS, NAMES, OFFICE)


def have_programs() -> None:
    """All that the hosts run is on this machine from now on: from a host nothing can be fetched."""
    subprocess.run([ROOT / "scripts/get-restic"], check=True, capture_output=True, timeout=300)
    asyncio.run(ensure_proxy(SystemProcesses(SystemClock()), SystemClock()))
    safe_etcd()
    named()


@contextmanager
def three_hosts(given: Network | None = None, kinds: Mapping[str, SiteKind] | None = None) -> Iterator[ThreeHosts]:
    """Set up, and down again whatever happens; what is left running afterwards is a failure. On a network of its own, or
    on one that has EVERY_HOST; `kinds` are of sites that are not local."""
    have_programs()
    with ExitStack() as stack:
        net = given or stack.enter_context(network(*EVERY_HOST))
        folder = Path(tempfile.mkdtemp(prefix="hubfed-network-"))
        memory = MEMORY / f"hubfed-{net.mark}"
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(shutil.rmtree, memory, ignore_errors=True)
        folder.chmod(0o711)
        primary, office = net.address(NAMES), net.address(OFFICE)
        names = Bind(folder / "primary", 53, new_key(), host=primary, notifies=office)
        resolver = Bind(folder / "secondary", 53, names.key, primary=53, host=office, primary_host=primary)
        daemons = Daemons(net, folder, memory)
        here = ThreeHosts(folder, net=net, names=names, resolver=resolver, daemons=daemons)
        stack.callback(_nothing_left, folder)
        stack.callback(names.kill)
        stack.callback(resolver.kill)
        stack.callback(daemons.stop)
        with net.inside(NAMES):
            names.start()
        with net.inside(OFFICE):
            resolver.start()
        write_files(here, kinds or {})
        start(here, memory, kinds or {})
        yield here
        here.judge()
        assert any(entry.event == "start" for entry in here.history()), "nothing was recorded that could be judged"


def _nothing_left(folder: Path) -> None:
    left = marked(str(folder))
    assert left == [], f"left running: {left}"
