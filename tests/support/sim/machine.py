"""A site's machine: its clock, its disk, its hubs and its edge, and the truth about them.

The agent, the fencer and the edge of a site share one machine and its clock. Whether users can reach a hub is worked
out here from what is on the machine (the lease file as the edge has read it, the routes, the processes), at each change
and at each deadline, never from what the agent believes.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from agents.drivers import memory
from agents.drivers.base import HubOrder, SiteDrivers
from agents.drivers.edges import Departed, Route
from agents.drivers.gate import Gate
from agents.drivers.memory import MemoryEdge, MemoryHubs, MemorySite
from agents.drivers.memory_copies import MemoryCopies
from federation.core.fencing import canary_of
from tests.support.sim import history as h
from tests.support.sim.copies import SimCopies
from tests.support.sim.history_homes import SeenHomes, Worked, file_of, works_in
from tests.support.sim.loop import Host, SimLoop
from tests.support.virtual import START, MemoryDisk

NS = 1_000_000_000


class HostClock:
    """`Clock` of one machine; wall time is off by `wrong_s`."""

    def __init__(self, host: Host, loop: SimLoop, wrong_s: float = 0.0) -> None:
        self._host, self._loop, self._wrong_s = host, loop, wrong_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.mono() + self._wrong_s)

    def mono(self) -> float:
        return self._host.time(self._loop.true_s)

    def boottime_ns(self) -> int:
        return int(self.mono() * NS)

    def boot_id(self) -> str:
        return f"{self._host.name}-{self._host.boot}"

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class TrueClock(HostClock):
    """The simulator's own time, for the register."""

    def __init__(self, loop: SimLoop) -> None:
        super().__init__(Host("nowhere"), loop)


@dataclass(slots=True)
class SimDisk(MemoryDisk):
    """Tells the machine of each write."""

    machine: Machine | None = None

    def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        MemoryDisk.replace(self, path, content, durable=durable)
        if self.machine is not None:
            self.machine.wrote(path, content)


@dataclass(slots=True)
class SimSite(MemorySite):
    """`MemorySite` that tells the machine of each change. `late_s`: how long a start takes to land, drawn anew."""

    truth: Machine | None = None
    late_s: float = 0.0

    def record(self, event: str, hub: str) -> None:
        MemorySite.record(self, event, hub)
        if self.truth is not None:
            self.truth.changed(event)

    def drivers(self) -> SiteDrivers:
        return replace(MemorySite.drivers(self), hubs=SimHubs(self), edge=SimEdge(self), copies=self._copies())

    def _copies(self) -> MemoryCopies:
        return MemoryCopies(self) if self.truth is None else SimCopies(self, self.truth.history, self.truth.loop)


class SimHubs(MemoryHubs):
    """A start lands a while after it was ordered."""

    async def start(self, order: HubOrder) -> None:
        site = self._site
        assert isinstance(site, SimSite)
        if order.hub not in site.hubs and site.late_s:
            await asyncio.sleep(site.late_s)
        await super().start(order)

    async def stop(self, hub: str, *, grace_s: float | None = None) -> None:
        site = self._site
        assert isinstance(site, SimSite)
        if site.truth is not None:
            site.truth.stopping(hub)
        await super().stop(hub, grace_s=grace_s)


class SimEdge(MemoryEdge):
    async def publish(
        self, routes: tuple[Route, ...], departed: tuple[Departed, ...] = (), unseen: frozenset[str] = frozenset()
    ) -> None:
        await super().publish(routes, departed, unseen)
        site = self._site
        assert isinstance(site, SimSite)
        if site.truth is not None:
            site.truth.changed("published")


@dataclass(slots=True)
class Machine:
    """The truth about one site."""

    host: Host
    site: SimSite
    disk: SimDisk
    history: h.History
    loop: SimLoop
    keeps_run: bool = False  # for a planted bug: the runtime directory is on a disk
    lease_path: Path = field(init=False)
    ack_path: Path = field(init=False)
    journal_path: Path = field(init=False)
    _gate: Gate | None = None
    _acked: h.Pair = (-1, -1)
    _first_file: bytes = b""
    _late: list[tuple[float, int]] = field(
        default_factory=list
    )  # deadlines that were due in a pause, and of which boot
    _up: dict[str, h.Pair] = field(default_factory=dict)
    _open: dict[str, h.Pair] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lease_path = Path(f"/run/{self.site.site}/lease.json")
        self.ack_path = Path(f"/run/{self.site.site}/ack.json")
        self.journal_path = Path(f"/state/{self.site.site}/journal.json")

    def own_s(self) -> float:
        return self.host.time(self.loop.true_s)

    def serving(self) -> dict[str, h.Pair]:
        """Hubs that users can reach now, at which epoch."""
        return dict(self._open)

    def running(self) -> set[str]:
        """Hubs with processes."""
        return set(self._up)

    def changed(self, cause: str) -> None:
        """Look at everything again, and write down what is different."""
        now, own_s, name = self.loop.true_s, self.own_s(), self.site.site
        up = {hub: _pair(here) for hub, here in self.site.hubs.items() if here.processes}
        opened = {} if self.host.paused else self._reachable(up)
        for hub in [hub for hub, epoch in self._open.items() if opened.get(hub) != epoch]:
            self.history.add(h.Gate(now, name, hub, self._open[hub], False, own_s))
        for hub in [hub for hub in self._up if hub not in up]:
            self.history.add(h.Hub(now, name, hub, self._up[hub], False, cause, own_s))
        for hub in [hub for hub in up if hub not in self._up]:
            self.history.add(h.Hub(now, name, hub, up[hub], True, cause, own_s))
        for hub in [hub for hub, epoch in opened.items() if self._open.get(hub) != epoch]:
            self.history.add(h.Gate(now, name, hub, opened[hub], True, own_s))
            if self.is_lasting(hub):
                works = works_in(self.site.files.get(hub, {}))
                self.history.add(SeenHomes(now, name, hub, opened[hub], works))
        self._up, self._open = up, opened

    def is_lasting(self, hub: str) -> bool:
        """Whether a hub that runs here has homes."""
        return self.site.hubs[hub].order.classroom.spec.storage.protection is not None

    def work(self, hub: str, number: int) -> None:
        """A student who is let in saves something."""
        self.site.files.setdefault(hub, {})[file_of(number)] = b""
        self.history.add(Worked(self.loop.true_s, self.site.site, hub, self._open[hub], number))

    def stopping(self, hub: str) -> None:
        """The agent's driver was told to stop a hub."""
        if hub in self._up:
            now = self.loop.true_s
            self.history.add(h.StopBegun(now, self.site.site, hub, self._up[hub], self.own_s()))

    def wrote(self, path: Path, content: bytes) -> None:
        """A file was replaced."""
        now, own_s, name = self.loop.true_s, self.own_s(), self.site.site
        if path == self.lease_path:
            body = json.loads(content)
            permits = {
                hub: (tuple(e["epoch"]), _seconds(e["close_at"]), _seconds(e["stop_by"]))
                for hub, e in body["hubs"].items()
                if hub != canary_of(name)  # no class, and never granted
            }
            self.history.add(h.LeaseFile(now, name, own_s, body["incarnation"], body["seq"], permits))
            self._first_file = self._first_file or (content if permits else b"")
            self.changed("lease file")
            for _epoch, close_at, _stop_by in permits.values():
                if close_at is not None and close_at > own_s:
                    self._look_at(close_at, self.host.boot)
        elif path == self.ack_path:
            body = json.loads(content)
            order = (body["incarnation"], body["seq"])
            if order != self._acked:
                self._acked = order
                self.history.add(h.Acked(now, name, order))
        elif path == self.journal_path:
            body = json.loads(json.loads(content)["journal"])
            floor = {hub: (e["era"], e["n"]) for hub, e in body["floor"].items()}
            ended = {hub: (e["era"], e["n"]) for hub, e in body["ended"].items()}
            released = {hub: (e["era"], e["n"]) for hub, e in body["released"].items()}
            accepted = {hub: (e["era"], e["n"]) for hub, e in body["accepted"].items()}
            members = frozenset((member["site"], member["uid"]) for member in body["members"])
            self.history.add(
                h.Journaled(now, name, floor, ended, released=released, accepted=accepted, members=members)
            )

    def _look_at(self, close_at: float, boot: int) -> None:
        """A gate shuts by the clock, whether or not anything else happens then."""
        now = self.loop.true_s
        self.loop.after(self.host.when(close_at, now) - now + 1e-6, self._deadline, close_at, boot)

    def _deadline(self, close_at: float, boot: int) -> None:
        if boot != self.host.boot:
            return
        if self.host.paused:  # and the clock with it
            self._late.append((close_at, boot))
        elif self.own_s() < close_at:  # it stood still meanwhile
            self._look_at(close_at, boot)
        else:
            self.changed("deadline")

    def stood_still(self) -> None:
        """The whole machine: nobody is let in meanwhile."""
        self.changed("machine pause")

    def went_on(self) -> None:
        """After a pause of the whole machine."""
        late, self._late = self._late, []
        for close_at, boot in late:
            self._look_at(close_at, boot)
        self.changed("machine pause")

    def _reachable(self, up: dict[str, h.Pair]) -> dict[str, h.Pair]:
        site = self.site
        if not site.edge_alive:
            self._gate = None
            return {}
        if self._gate is None:
            self._gate = Gate(site.clock.boot_id())
        self._gate.take(self.disk.read(self.lease_path))
        now_ns, found = site.clock.boottime_ns(), {}
        for hub in up:
            route, here = site.routes_by_hub.get(hub), site.hubs[hub]
            if route is not None and here.proxy_alive and self._gate.is_open(hub, route.epoch, now_ns):
                found[hub] = (route.epoch.era, route.epoch.n)
        return found

    # --- faults ---

    def lose_tmpfs(self) -> None:
        """A reboot: files of the runtime directory are gone, and the boot has another id."""
        for path in [path for path in self.disk.files if path.parts[1] == "run" and not self.keeps_run]:
            del self.disk.files[path]
        self.site.reboot()
        self._gate, self._first_file = None, b""
        self.site.routes_by_hub = {}
        self.changed("reboot")
        ended_s = self.host.time(self.loop.true_s)
        self.host.restart(self.loop.true_s)
        self.history.add(h.Rebooted(self.loop.true_s, self.site.site, ended_s))

    def lose_lease_file(self) -> None:
        """An upgrade took the runtime directory away."""
        if self.disk.files.pop(self.lease_path, None) is not None:
            self.history.add(h.FileLost(self.loop.true_s, self.site.site))
            self.changed("file lost")

    def roll_back_lease_file(self) -> None:
        """The oldest one of this boot that permitted anything is there again."""
        self.lose_lease_file()
        if self._first_file:
            self.disk.files[self.lease_path] = self._first_file
            self.changed("file rolled back")

    def lose_run(self) -> None:
        """The lease file and the fencer's word are gone."""
        self.disk.files.pop(self.ack_path, None)
        self.lose_lease_file()

    def lose_journal(self) -> None:
        if self.disk.files.pop(self.journal_path, None) is not None:
            self.history.add(h.Journaled(self.loop.true_s, self.site.site, {}, {}, lost=True))


def _pair(here: memory.MemoryHub) -> h.Pair:
    return here.order.epoch.era, here.order.epoch.n


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / NS
