"""The two servers of the benchmark of placements, a process each: a coordinator on a real etcd, and two agents with
in-memory drivers that talk to it over gRPC with certificates.

    python -m tests.bench.placing_processes coordinator ETCD CA CERT KEY      prints its port
    python -m tests.bench.placing_processes agents COORDINATOR CA (CERT KEY)...   one pair per site
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import structlog

from agents.agent import Agent, Place
from agents.agent import Ports as AgentPorts
from agents.drivers.base import Capacity
from agents.drivers.memory import MemorySite
from agents.grpc_transport import GrpcTransport
from agents.link import Self
from federation.api.v1 import agent_pb2_grpc, control_pb2, control_pb2_grpc, types_pb2
from federation.coordinator.probe import Sight
from federation.coordinator.replica import Identity, Replica
from federation.coordinator.replica import Ports as ReplicaPorts
from federation.coordinator.rights import RIGHTS
from federation.coordinator.server_probe import Ticket, Tried
from federation.dns.memory import MemoryNames
from federation.model.profile import PROFILES, ProfileName
from federation.runtime.access import AccessCheck
from federation.runtime.clock import SystemClock
from federation.runtime.grpc_client import Channels
from federation.runtime.grpc_server import build_server
from federation.runtime.sealing import SealingKey
from federation.runtime.supervisor import Supervisor
from federation.runtime.tls import TlsFiles
from federation.store.etcd import EtcdStore
from federation.store.register import Register
from federation.store.remembered import RememberedRegister
from tests.support.memory_peers import MemoryPeers
from tests.support.memory_transport import MemoryTransport
from tests.support.virtual import UUID, MemoryDisk, no_leader

SITES = ("iu", "tacc")
CORES, GIB = 100_000, 100_000  # room for everything
START_S = 0.05  # a hub's start


@dataclass(frozen=True, slots=True)
class SeesAll:
    """`Prober` for hubs that exist in the memory of another process: their agent's word is taken."""

    async def tls_name(self, edge_address: str, host: str) -> Sight:
        return Sight()

    async def login_page(self, edge_address: str, host: str) -> str:
        return ""

    async def server(self, edge_address: str, host: str, ticket: Ticket) -> Tried:
        return Tried(untested="hubs in memory have no servers")

    async def answers(self, edge_address: str, host: str) -> bool:
        return True


async def coordinate(endpoint: str, tls: TlsFiles) -> None:
    """The coordinator; its port is said when it serves and both sites have joined."""
    clock = SystemClock()
    remembered = RememberedRegister(Path("/state/register.json"), MemoryDisk())
    register = await Register.open(EtcdStore((endpoint,), tls=None, prefix="bench"), UUID, ("ada",))
    identity = Identity("c1", "c1", "bench", ("c1",), PROFILES[ProfileName.LAB], witness=True)
    ports = ReplicaPorts(register, MemoryNames(), SeesAll(), clock, Random(1), no_leader, remembered)
    async with Supervisor("c1") as tasks:
        replica = Replica(identity, ports, tasks)
        tasks.start("replica", replica.run())
        await replica.mirror.synced()
        access = AccessCheck(RIGHTS, lambda: register.identity.uuid, replica.snapshot.roles_of)
        server = build_server("127.0.0.1:0", tls, access)
        agent_pb2_grpc.add_AgentServiceServicer_to_server(replica.agent_service, server.grpc)
        control_pb2_grpc.add_ControlServiceServicer_to_server(replica.control_service, server.grpc)
        await server.start()
        for name in SITES:
            capacity = types_pb2.Capacity(cpu_millis=CORES * 1000, memory_bytes=GIB * 2**30)
            request = control_pb2.JoinSiteRequest(name=name, kind="local", uid=f"uid-{name}", capacity=capacity)
            await replica.control_service.secrets_and_sites.join(request, "bench")
        print(server.port, flush=True)
        await asyncio.Event().wait()


async def run_agents(address: str, files: dict[str, TlsFiles]) -> None:
    """One agent per site."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        for n, (name, tls) in enumerate(files.items()):
            disk, key = MemoryDisk(), SealingKey.generate()
            site = MemorySite(name, clock, Capacity(CORES * 1000, GIB * 2**30))
            site.start_delay_s = START_S
            site.lease = partial(disk.read, Path(f"/run/{name}/lease.json"))
            who = Self(
                name, f"uid-{name}", "local", (address,), PROFILES[ProfileName.LAB], "machine", key.public, "bench"
            )
            transport = GrpcTransport(await stack.enter_async_context(Channels(tls)))
            ports = AgentPorts(site.drivers(), transport, disk, clock, Random(n), MemoryPeers(MemoryTransport(), name))
            tasks = await stack.enter_async_context(Supervisor(name))
            agent = Agent(who, Place(Path(f"/state/{name}"), Path(f"/run/{name}")), ports, key, tasks)
            tasks.start("agent", agent.run())
        await asyncio.Event().wait()


def main(what: str, address: str, ca: str, *pairs: str) -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    certs = zip(pairs[::2], pairs[1::2], strict=True)
    files = [TlsFiles(Path(ca), Path(cert), Path(key)) for cert, key in certs]
    if what == "coordinator":
        asyncio.run(coordinate(address, files[0]))
    else:
        asyncio.run(run_agents(address, dict(zip(SITES, files, strict=True))))


if __name__ == "__main__":
    main(*sys.argv[1:])
