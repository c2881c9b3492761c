"""fed-agent: the composition root of one site's agent. Reads its files, picks the drivers, and hands over to `agent`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom

import structlog

from agents.agent import Agent, Place, Ports
from agents.drivers.local.marks import table_file
from agents.grpc_transport import GrpcPeers, GrpcTransport
from agents.journal import SingleWriter
from agents.lease_desk import LeaseDesk, open_desk
from agents.link import Self
from agents.peer_service import PEER_RIGHTS, PeerService
from agents.site_drivers import site_drivers
from federation import __version__
from federation.api.v1 import agent_pb2_grpc
from federation.model.errors import InvalidRequest
from federation.model.profile import PROFILES
from federation.model.site_file import AgentSettings
from federation.runtime.access import AccessCheck
from federation.runtime.clock import SystemClock
from federation.runtime.daemon import run_daemon, tls_files
from federation.runtime.disk import LocalDisk
from federation.runtime.grpc_client import Channels
from federation.runtime.grpc_server import build_server
from federation.runtime.identity_uri import Kind, Principal, agent_host
from federation.runtime.logs import set_up_logging
from federation.runtime.own_identity import own_principal
from federation.runtime.pki import serves_as
from federation.runtime.sealing import SealingKey
from federation.runtime.settings_files import load_site
from federation.runtime.supervisor import Supervisor
from federation.runtime.tls import TlsFiles

log = structlog.get_logger(__name__)


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="fed-agent", description="The agent of one site.")
    parser.add_argument("--site", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument("--state-dir", type=Path, required=True, metavar="DIR", help="journal, keys, hubs")
    parser.add_argument("--runtime-dir", type=Path, required=True, metavar="DIR", help="lease file; must be on tmpfs")
    arguments = parser.parse_args()
    set_up_logging(SystemClock())
    return run_daemon(lambda stop: serve(arguments.site, arguments.state_dir, arguments.runtime_dir, stop))


async def serve(path: Path, state_dir: Path, runtime_dir: Path, stop: asyncio.Event) -> None:
    """Run until told to stop; hubs go on."""
    site = load_site(path)
    settings = site.spec.agent
    if settings is None or settings.tls is None:
        raise InvalidRequest(f"{path}: spec.agent with coordinators and tls is missing")
    tls = tls_files(settings.tls, path.parent)
    principal = own_principal(tls)
    if principal.kind is not Kind.AGENT or principal.site != site.name:
        raise InvalidRequest(f"{tls.cert} is the certificate of {principal.label}, the file is of site {site.name}")
    writer = SingleWriter(state_dir)
    clock, disk = SystemClock(), LocalDisk()
    sealing = SealingKey.open_or_create(state_dir / "sealing.key", disk)
    who = Self(
        site=site.name,
        uid=principal.uid,
        kind=site.spec.kind.value,
        coordinators=tuple(settings.coordinators),
        profile=PROFILES[settings.profile],
        machine_id=machine_id(),
        sealing_key=sealing.public,
        version=__version__,
        peer_address=asked_at(settings, tls, principal),
    )
    place, table = Place(state_dir, runtime_dir), table_file(state_dir)
    drivers = site_drivers(site, path.parent, state_dir, runtime_dir, clock)
    try:
        async with Supervisor(f"agent-{site.name}") as tasks, Channels(tls) as channels:
            agent = Agent(
                who,
                place,
                Ports(drivers, GrpcTransport(channels), disk, clock, SystemRandom(), GrpcPeers(channels)),
                sealing,
                tasks,
            )
            listen = settings.peer_listen or settings.peer_address
            desk = LeaseDesk(place.lease, disk, clock, lambda: disk.read(table))
            edges = telling_edges(settings, tls, principal, desk)
            async with answering(listen, tls, principal.register, agent.peer_service), edges:
                tasks.start("agent", agent.run())
                await tasks.wait(stop)
    finally:
        await drivers.hubs.close()
        await drivers.edge.close()
        await drivers.preparing.close()
        writer.release()


def asked_at(settings: AgentSettings, tls: TlsFiles, principal: Principal) -> str:
    """Where others may ask this agent; nowhere if they would not accept its certificate, so that nobody counts on it."""
    if settings.peer_address is None or serves_as(tls.read()[1], (agent_host(principal.site, principal.uid),)):
        return settings.peer_address or ""
    log.error("peers.certificate", cert=str(tls.cert), help="Have it issued anew: it has no name for other agents.")
    return ""


@asynccontextmanager
async def answering(listen: str | None, tls: TlsFiles, register: str, service: PeerService) -> AsyncIterator[None]:
    """Let other agents ask this one; without an address nobody can."""
    if listen is None:
        yield
        return
    access = AccessCheck(PEER_RIGHTS, lambda: register, lambda _user: ())
    server = build_server(listen, tls, access)
    agent_pb2_grpc.add_PeerServiceServicer_to_server(service, server.grpc)
    await server.start()
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def telling_edges(
    settings: AgentSettings, tls: TlsFiles, principal: Principal, desk: LeaseDesk
) -> AsyncIterator[None]:
    """Tell an edge in a cluster what may be open; without an address none asks."""
    listen = settings.edge_listen or settings.edge_address
    if listen is None:
        yield
        return
    if not serves_as(tls.read()[1], (agent_host(principal.site, principal.uid),)):
        log.error("edges.certificate", cert=str(tls.cert), help="Have it issued anew: no edge will believe it.")
    host, _, port = listen.rpartition(":")
    async with open_desk(desk, host.strip("[]"), int(port), tls):
        yield


def machine_id() -> str:
    """Names this machine; empty if the system has no id."""
    path = Path("/etc/machine-id")
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
