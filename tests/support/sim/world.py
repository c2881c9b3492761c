"""The simulated federation: production coordinators, agents and fencers as processes that can be paused, killed, started.

Whoever kills a process here does it as SIGKILL does: nothing of it runs again, not even a `finally`. What a supervisor
(systemd) would do is done here too: a daemon that ends by itself is started again after a moment.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from agents.agent import Agent, Place
from agents.agent import Ports as AgentPorts
from agents.drivers.base import Capacity
from agents.drivers.memory_copies import MemoryStore as CopyStore
from agents.drivers.memory_fencing import MemoryFencer
from agents.link import Self
from federation.coordinator.replica import Identity, Replica
from federation.coordinator.replica import Ports as ReplicaPorts
from federation.dns.memory import MemoryNames
from federation.model.errors import FederationError, OldIncarnation, RegisterFault, Unavailable
from federation.model.profile import PROFILES, ProfileName
from federation.runtime.sealing import SealingKey
from federation.runtime.supervisor import Supervisor
from federation.store.memory import MemoryStore
from federation.store.register import Register
from federation.store.remembered import RememberedRegister
from tests.support.sim import history as h
from tests.support.sim.loop import Host, Process, SimLoop
from tests.support.sim.machine import HostClock, Machine, SimDisk, SimSite, TrueClock
from tests.support.sim.network import Network
from tests.support.sim.outside import SimNames, SimProber
from tests.support.sim.peers import SimPeers
from tests.support.sim.register import Errors, SimStore
from tests.support.sim.transport import SimTransport
from tests.support.sim.truth import RegisterTruth
from tests.support.virtual import UUID, MemoryDisk, no_leader

LAB = PROFILES[ProfileName.LAB]
RESTART_S = 1.0
GIB = 2**30


@dataclass(slots=True)
class World:
    """`agent-iu`, `fencer-iu`, `c1` name processes; `iu`, `c1` name machines."""

    loop: SimLoop
    random: Random
    history: h.History
    coordinators: tuple[str, ...]
    network: Network
    errors: Errors
    truth: RegisterTruth
    store: MemoryStore
    names: SimNames
    hosts: dict[str, Host] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    disks: dict[str, MemoryDisk] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    sealing: dict[str, SealingKey] = field(default_factory=dict)
    off: Counter[str] = field(default_factory=Counter)  # names of processes that are to stay down for now
    crashes: list[str] = field(default_factory=list)
    graveyard: list[Process] = field(default_factory=list)
    failsafe: bool = False  # sites can ask each other
    copies: CopyStore = field(default_factory=CopyStore)  # that the sites share

    @classmethod
    def make(cls, loop: SimLoop, seed: int, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> World:
        random = Random(f"world {seed}")
        times = h.Times(LAB.contact_s, LAB.fence_s, LAB.fencer_s, LAB.takeover_s, LAB.renew_s)
        history = h.History(times)
        network = Network(loop, Random(f"network {seed}"))
        truth = RegisterTruth(history, loop)
        names = SimNames(MemoryNames(), network, Random(f"names {seed}"), history)
        world = cls(loop, random, history, coordinators, network, Errors(), truth, MemoryStore(TrueClock(loop)), names)
        for name in (*coordinators, *sites, "user"):
            rate = random.choice((1 - LAB.drift / 2, 1 + LAB.drift / 2, 1 + LAB.drift * (random.random() - 0.5)))
            world.hosts[name] = Host(name, rate, offset_s=1000 * random.random())
        for name in sites:
            world._add_site(name)
        return world

    def _add_site(self, name: str) -> None:
        host, disk = self.hosts[name], SimDisk()
        site = SimSite(name, HostClock(host, self.loop), Capacity(60_000, 120 * GIB))
        site.lease, site.store = lambda: disk.read(Path(f"/run/{name}/lease.json")), self.copies
        machine = self.machines[name] = Machine(host, site, disk, self.history, self.loop)
        disk.machine = site.truth = machine
        self.sealing[name] = SealingKey.generate()

    # --- processes ---

    def alive(self, name: str) -> bool:
        return name in self.processes

    def start(self, name: str) -> None:
        """Start a process that is not running and is not to stay down."""
        if name in self.processes or self.off[name] > 0:
            return
        kind, _, site = name.rpartition("-")
        process = self.processes[name] = Process(name, self.hosts[site])
        run: Coroutine[Any, Any, None]
        if kind == "agent":
            run = self._agent(site, process)
        elif kind == "fencer":
            run = self._fencer(site)
        else:
            run = self._coordinator(name, process)
        self.loop.spawn(process, self._main(process, run))

    async def _main(self, process: Process, run: Coroutine[Any, Any, None]) -> None:
        """What the machine's supervisor sees of a daemon."""
        try:
            await run
        except OldIncarnation:
            self.history.add(h.Fault(self.loop.true_s, f"{process.name} was superseded"))
            self.off[process.name] += 1
        except (FederationError, ExceptionGroup) as error:
            expected = isinstance(error, RegisterFault | Unavailable)
            if not expected:
                self.crashes.append(f"{self.loop.true_s:.2f} {process.name}: {error!r}")
        self.kill(process.name)
        self.loop.after(RESTART_S, self.start, process.name)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.dead = True
        process.held.clear()
        self.graveyard.append(process)
        for address in [address for address, (server, _) in self.network.servers.items() if server is process]:
            del self.network.servers[address]
        self.network.broke(process)

    def pause(self, name: str, *, paused: bool) -> None:
        """SIGSTOP, SIGCONT."""
        process = self.processes.get(name)
        if process is not None:
            process.paused = paused
            if not paused:
                self.history.add(h.WentOn(self.loop.true_s, name))
            self.loop.resume(process)

    def pause_machine(self, name: str, *, paused: bool) -> None:
        """The hypervisor stops a machine, its clock included."""
        host = self.hosts[name]
        host.pause(self.loop.true_s, paused=paused)
        if name in self.machines:
            self.history.add(h.MachinePause(self.loop.true_s, name, paused))
            machine = self.machines[name]
            (machine.stood_still if paused else machine.went_on)()
        for process in self.processes.values():
            if process.host is host:
                self.loop.resume(process)

    # --- the daemons' composition roots ---

    async def _coordinator(self, name: str, process: Process) -> None:
        clock, disk = HostClock(process.host, self.loop), self.disks.setdefault(name, MemoryDisk())
        remembered = RememberedRegister(Path("/state/register.json"), disk)
        store = SimStore(self.store, process, self.network, Random(self.random.random()), self.errors, self.truth)
        while True:
            try:
                register = await Register.open(store, UUID, remembered=remembered)
                break
            except Unavailable:
                await clock.sleep(RESTART_S)
            except FederationError as error:
                if error.definite:
                    raise
        tasks = Supervisor(name)
        identity = Identity(name, name, "virtual", self.coordinators, LAB, witness=True)
        prober = SimProber(self.machines, self.network, name)
        random = Random(self.random.random())
        names = self.names.seen_by(name)
        ports = ReplicaPorts(register, names, prober, clock, random, no_leader, remembered)
        replica = SimReplica(identity, ports, tasks)
        replica.process = process
        tasks.start("replica", replica.run())
        await replica.mirror.synced()
        self.network.servers[name] = (process, replica)
        await tasks.wait(asyncio.Event())

    async def _agent(self, site: str, process: Process) -> None:
        machine, tasks = self.machines[site], Supervisor(f"agent-{site}")
        who = Self(
            site=site,
            uid=f"uid-{site}",
            kind="local",
            coordinators=self.coordinators,
            profile=LAB,
            machine_id=f"machine-{site}",
            sealing_key=self.sealing[site].public,
            version="test",
            peer_address=f"{site}:peer" if self.failsafe else "",
        )
        transport = SimTransport(self.network, site, process, self.history)
        ports = AgentPorts(
            machine.site.drivers(),
            transport,
            machine.disk,
            HostClock(process.host, self.loop),
            Random(self.random.random()),
            SimPeers(self.network, site, process, self.history, self.hosts) if self.failsafe else None,
        )
        agent = Agent(who, Place(Path(f"/state/{site}"), Path(f"/run/{site}")), ports, self.sealing[site], tasks)
        self.network.servers[site] = (process, agent.peer_service)
        tasks.start("agent", agent.run())
        await tasks.wait(asyncio.Event())

    async def _fencer(self, site: str) -> None:
        machine = self.machines[site]
        self.history.add(h.FencerStarted(self.loop.true_s, site, machine.own_s()))
        folder = machine.lease_path.parent
        await MemoryFencer(machine.site, machine.disk, folder, machine.site.clock, longest_s=LAB.longest_s).run()

    # --- looking in from outside, for the workload and the end of a run ---

    def replicas(self) -> list[SimReplica]:
        """Coordinators that serve, in the order of their names."""
        return [self.network.servers[name][1] for name in self.coordinators if name in self.network.servers]

    def leader(self) -> SimReplica | None:
        return next((r for r in self.replicas() if r.standing.leads and not r.process.stopped), None)


class SimReplica(Replica):
    """A coordinator that knows its process."""

    process: Process
