"""Acknowledged placements per second into a real etcd, over gRPC with certificates, while agents with in-memory drivers
run the hubs. Server and client are two processes.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, cast
from uuid import uuid4

from federation.api.v1 import agent_pb2_grpc, control_pb2, control_pb2_grpc, types_pb2
from federation.api.v1.classroom_pb2 import ClassroomSpec
from federation.coordinator.rights import RIGHTS
from federation.dns.memory import MemoryNames
from federation.runtime.access import AccessCheck
from federation.runtime.bridge import to_message
from federation.runtime.clock import SystemClock
from federation.runtime.grpc_client import Channels
from federation.runtime.grpc_server import build_server
from federation.runtime.tls import TlsFiles
from federation.store.memory import MemoryStore
from federation.store.register import Register
from tests.bench.side_by_side import verdict
from tests.support.certificates import Certificates
from tests.support.classrooms import classroom
from tests.support.etcd import etcd
from tests.support.memory_transport import MemoryTransport
from tests.support.virtual import UUID, VirtualFederation

AT_ONCE = 16
SITES = ("iu", "tacc")


def placements(count: int) -> list[str]:
    """One row: how many were acknowledged per second, and how long until all served."""
    with tempfile.TemporaryDirectory() as folder, etcd() as cluster:
        certificates = Certificates(Path(folder), UUID)
        user, coordinator = certificates.user("ada"), certificates.coordinator()
        words = [sys.executable, "-m", "tests.bench.placements", cluster.endpoints[0], *map(str, _paths(coordinator))]
        server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            acknowledged, serving = asyncio.run(_drive(f"127.0.0.1:{port}", user, count))
        finally:
            server.terminate()
            server.wait()
    rate = count / acknowledged
    goal = verdict(50, rate)
    return [f"| {count} | {rate:.0f} per second; goal at least 50: {goal} | {serving:.1f} s |"]


def _paths(tls: TlsFiles) -> tuple[Path, Path, Path]:
    return tls.ca, tls.cert, tls.key


async def _drive(address: str, user: TlsFiles, count: int) -> tuple[float, float]:
    names = iter([f"class{n:05}" for n in range(count)])
    async with Channels(user) as channels:
        stub: Any = control_pb2_grpc.ControlServiceStub(channels.to(address))

        async def place_some() -> None:
            for name in names:
                wanted = classroom(name, roster={"expected": 2, "admins": ["ann"], "users": ["s01", "s02"]})
                message = control_pb2.Classroom(name=name, spec=to_message(wanted.spec, ClassroomSpec))
                request = control_pb2.PlaceRequest(classroom=message, request_id=str(uuid4()))
                await stub.Place(request, timeout=30)

        began = time.perf_counter()
        await asyncio.gather(*(place_some() for _ in range(AT_ONCE)))
        acknowledged = time.perf_counter() - began
        while await _serving(stub) < count:
            assert time.perf_counter() - began < 900, "not all serve"
            await asyncio.sleep(1 + count / 1000)
        return acknowledged, time.perf_counter() - began


async def _serving(stub: Any) -> int:
    found, token = 0, ""
    while True:
        page = await stub.List(control_pb2.ListRequest(page_token=token), timeout=30)
        found += len([hub for hub in page.items if hub.status.phase == "Serving"])
        token = page.next_page_token
        if not token:
            return found


async def serve(endpoint: str, tls: TlsFiles) -> None:
    """The coordinator on a real etcd, with two sites in memory that have room for everything."""
    from federation.store.etcd import EtcdStore  # noqa: PLC0415

    clock = SystemClock()
    store = EtcdStore((endpoint,), tls=None, prefix="bench")
    federation = VirtualFederation(clock, Random(1), cast(MemoryStore, store), MemoryTransport(), MemoryNames())
    register = await Register.open(store, UUID, ("ada",))
    replica = await federation.start_replica("c1")
    await replica.mirror.synced()
    access = AccessCheck(RIGHTS, lambda: register.identity.uuid, replica.snapshot.roles_of)
    server = build_server("127.0.0.1:0", tls, access)
    agent_pb2_grpc.add_AgentServiceServicer_to_server(replica.agent_service, server.grpc)
    control_pb2_grpc.add_ControlServiceServicer_to_server(replica.control_service, server.grpc)
    await server.start()
    for name in SITES:
        site = federation.add_site(name, cores=100_000, gib=100_000)
        site.start_delay_s = 0.05
        capacity = types_pb2.Capacity(cpu_millis=10**8, memory_bytes=10**5 * 2**30)
        request = control_pb2.JoinSiteRequest(name=name, kind="local", uid=f"uid-{name}", capacity=capacity)
        await replica.control_service.secrets_and_sites.join(request, "bench")
        federation.start_agent(name)
    while not all(site.edge_address for site in replica.snapshot.sites()) or len(replica.snapshot.sites()) < 2:
        await asyncio.sleep(0.05)
    print(json.dumps(server.port), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    ca, cert, key = map(Path, sys.argv[2:5])
    asyncio.run(serve(sys.argv[1], TlsFiles(ca, cert, key)))
