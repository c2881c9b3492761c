"""fed-coordinator: the composition root of one replica. Reads its files, opens sockets, and hands over to `replica`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

import structlog

from federation.api.v1 import agent_pb2_grpc, control_pb2, control_pb2_grpc
from federation.coordinator.hook_calls import SystemHookCaller
from federation.coordinator.hooks_loop import Hooks
from federation.coordinator.probe import HttpProber, Prober
from federation.coordinator.register_alarm import RegisterAlarm, RegisterSight
from federation.coordinator.replica import Identity, Ports, Replica
from federation.coordinator.rights import RIGHTS
from federation.core.relocation import Policy
from federation.dns.few_wait import FewWait
from federation.dns.frontdoor import FrontDoorNames
from federation.dns.interface import NameDriver
from federation.dns.name_server import NameServer
from federation.dns.rfc2136 import ZoneNames, read_key
from federation.model.errors import DeadlineExceeded, InvalidRequest, Refused, RegisterFault, Unavailable
from federation.model.federation_file import CoordinatorSettings, FederationFile
from federation.model.identity import RegisterId
from federation.model.names_file import NameDriverKind
from federation.runtime.access import AccessCheck
from federation.runtime.clock import SystemClock
from federation.runtime.daemon import run_daemon, tls_files
from federation.runtime.disk import LocalDisk
from federation.runtime.etcd_process import UNSAFE
from federation.runtime.grpc_client import Channels, call, stream
from federation.runtime.grpc_server import ControlServer, build_server
from federation.runtime.logs import set_up_logging
from federation.runtime.settings_files import load_federation
from federation.runtime.supervisor import Supervisor
from federation.runtime.tls import TlsFiles
from federation.runtime.tls_look import edge_tls
from federation.store.election import patience_s
from federation.store.etcd import EtcdStore
from federation.store.register import Register
from federation.store.remembered import RememberedRegister

log = structlog.get_logger(__name__)

REGISTER_WAIT_S = 1.0
SERVER_TEST_S = 40.0  # the site ends what an earlier test left
READINESS_S = 65.0  # the standby is asked whether the copies open there, and may take its time


@dataclass(frozen=True, slots=True)
class PeerLeader:
    """The leading replica, called by this one with its own certificate."""

    channels: Channels
    address: str

    def logs(self, request: control_pb2.LogsRequest) -> AsyncGenerator[control_pb2.LogsResponse]:
        stub = control_pb2_grpc.ControlServiceStub(self.channels.to(self.address))
        return stream(stub.Logs, request)

    async def readiness(self, request: control_pb2.ReadinessRequest) -> control_pb2.ReadinessResponse:
        stub: Any = control_pb2_grpc.ControlServiceStub(self.channels.to(self.address))
        answer: control_pb2.ReadinessResponse = await call(stub.Readiness, request, timeout_s=READINESS_S)
        return answer

    async def server_test(self, request: control_pb2.ServerTestRequest) -> control_pb2.ServerTestResponse:
        stub: Any = control_pb2_grpc.ControlServiceStub(self.channels.to(self.address))
        answer: control_pb2.ServerTestResponse = await call(stub.ServerTest, request, timeout_s=SERVER_TEST_S)
        return answer


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="fed-coordinator", description="One coordinator replica of a federation.")
    parser.add_argument("--federation", type=Path, required=True, metavar="FILE", help="the federation file")
    parser.add_argument("--id", required=True, help="which of the file's coordinators this is, e.g. c1")
    parser.add_argument("--state-dir", type=Path, required=True, metavar="DIR", help="where it remembers the register")
    arguments = parser.parse_args()
    set_up_logging(SystemClock())
    arguments.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return run_daemon(lambda stop: serve(arguments.federation, arguments.id, arguments.state_dir, stop))


async def serve(path: Path, name: str, state_dir: Path, stop: asyncio.Event) -> None:
    """Serve until told to stop."""
    remembered = RememberedRegister(state_dir / "register.json", LocalDisk())
    federation = load_federation(path)
    settings = federation.spec.coordinator(name)
    if settings is None:
        raise InvalidRequest(f"{path} has no coordinator {name}", help="Add it to spec.coordinators, or correct --id.")
    paths = settings.tls or federation.spec.tls
    if paths is None:
        raise InvalidRequest(f"{path}: coordinator {name} has no certificate", help="Set spec.tls or its own tls.")
    tls, names = tls_files(paths, path.parent), name_driver(federation, path.parent)
    prober, store = edge_prober(federation, path.parent), open_store(federation, settings, path.parent)
    hooks = Hooks(federation.spec.hooks, SystemHookCaller(path.parent), float(federation.spec.alarm_after.seconds))
    sight = RegisterSight(SystemClock(), hooks.alarm_after_s)
    told = state_dir / "register-alarm.json"
    alarm = RegisterAlarm(name, federation.name, hooks, LocalDisk(), told, SystemClock())
    async with Supervisor(name) as tasks, Channels(tls) as channels:
        opening = tasks.start("open-register", open_or_doubt(federation, store, remembered), eternal=False)
        stopping = tasks.start("stop", stop.wait(), eternal=False)
        tasks.start("register-alarm", alarm.watch(sight.problem))
        await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if opening.done():
            register = opening.result()
            replica = assemble(federation, settings, Parts(register, remembered, channels, names, prober, hooks), tasks)
            sight.register, sight.mirror = register, replica.mirror
            server = open_server(replica, register.identity, settings, tls)
            tasks.start("replica", replica.run())
            synced = tasks.start("sync", replica.mirror.synced(), eternal=False)
            await asyncio.wait({synced, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await server.start()
            try:
                await tasks.wait(stop)
            finally:
                await server.stop(replica.sessions.end_all)
    await store.close()


def open_store(federation: FederationFile, settings: CoordinatorSettings, folder: Path) -> EtcdStore:
    """The register's client. It asks the member beside it first: that one is lost only together with it."""
    register = federation.spec.register_
    endpoints = sorted(register.endpoints, key=lambda endpoint: endpoint != settings.member)
    tls = tls_files(register.tls, folder) if register.tls is not None else None
    prefix = f"/{register.prefix}/{federation.name}"
    return EtcdStore(tuple(endpoints), tls=tls, prefix=prefix)


async def open_register(federation: FederationFile, store: EtcdStore, remembered: RememberedRegister) -> Register:
    """Wait for the register, check that it is fit, and open it."""
    uuid = federation.spec.register_.uuid
    if uuid is None:
        raise InvalidRequest(
            f"federation {federation.name} has no spec.register.uuid", help="Draw one, e.g. `uuidgen`."
        )
    while True:
        try:
            version = (await store.status()).version
            if federation.spec.production and version in UNSAFE:
                wrong = f"the register runs etcd {version}, which can corrupt its data when killed"
                raise Refused(wrong, help="Use 3.5.6+.")
            return await Register.open(store, uuid, tuple(federation.spec.admins), remembered)
        except (Unavailable, DeadlineExceeded):  # one member answers for itself before there is a majority
            await asyncio.sleep(REGISTER_WAIT_S)


async def open_or_doubt(federation: FederationFile, store: EtcdStore, remembered: RememberedRegister) -> Register:
    """The register; one that is not the known one is served too, for reading and for its recovery."""
    try:
        return await open_register(federation, store, remembered)
    except RegisterFault as error:
        log.error("register.not-believed", problem=error.message)  # noqa: TRY400 - the sentence says all
        return Register.doubted(store, federation.spec.register_.uuid or "", remembered, error.message)


@dataclass(frozen=True, slots=True)
class Parts:
    """What `serve` has opened for the replica."""

    register: Register
    remembered: RememberedRegister
    channels: Channels
    names: NameDriver
    prober: Prober
    hooks: Hooks


def assemble(federation: FederationFile, settings: CoordinatorSettings, parts: Parts, tasks: Supervisor) -> Replica:
    """The replica with its real ports."""
    addresses = tuple(c.address for c in federation.spec.coordinators)
    times, witnesses = federation.spec.times(), sum(c.witness for c in federation.spec.coordinators)
    patience = patience_s(times.leader_ttl_s, at_witness=settings.witness, witnesses=witnesses)
    after, tests = federation.spec.failback_after, federation.spec.server_test_every
    identity = Identity(
        settings.id,
        settings.address,
        federation.name,
        addresses,
        times,
        witness=federation.spec.has_witness,
        patience_s=patience,
        relocation=Policy(failback_s=after.seconds if after is not None else None),
        place=settings.domain,
        places=tuple(sorted({c.domain for c in federation.spec.coordinators})),
        server_test_s=float(tests.seconds) if tests is not None else None,
        admins=tuple(federation.spec.admins),
    )
    ports = Ports(
        register=parts.register,
        names=parts.names,
        prober=parts.prober,
        clock=SystemClock(),
        random=SystemRandom(),
        connect_leader=lambda address: PeerLeader(parts.channels, address),
        remembered=parts.remembered,
        hooks=parts.hooks,
    )
    return Replica(identity, ports, tasks)


def name_driver(federation: FederationFile, folder: Path) -> NameDriver:
    """The driver that the federation file names; relative paths start at the file's `folder`."""
    names = federation.spec.names
    if names.driver is NameDriverKind.FRONTDOOR and names.file and names.address:
        return FrontDoorNames(Path(names.file), names.address)
    if names.driver is NameDriverKind.RFC2136 and names.server and names.key_name and names.key_file:
        key = read_key(folder / names.key_file, names.key_name, names.algorithm.value)
        outside = tuple(NameServer(address) for address in names.resolvers)
        server = NameServer(names.server, key)
        return FewWait(ZoneNames(names.zone, server, outside, names.ttl, names.edge_port, names.by_https))
    raise Refused(f"name driver {names.driver.value} is not built yet", help="Use rfc2136 or frontdoor.")


def edge_prober(federation: FederationFile, folder: Path) -> HttpProber:
    """Looks at edges as the federation's students come to them. InvalidRequest if their CAs cannot be read."""
    names = federation.spec.names
    return HttpProber(edge_tls(folder / names.ca if names.ca else None) if names.by_https else None)


def open_server(replica: Replica, identity: RegisterId, settings: CoordinatorSettings, tls: TlsFiles) -> ControlServer:
    """The gRPC server with both services behind the table of rights."""
    access = AccessCheck(RIGHTS, lambda: identity.uuid, replica.roles_of)
    server = build_server(settings.listen, tls, access)
    agent_pb2_grpc.add_AgentServiceServicer_to_server(replica.agent_service, server.grpc)
    control_pb2_grpc.add_ControlServiceServicer_to_server(replica.control_service, server.grpc)
    return server


if __name__ == "__main__":
    sys.exit(main())
