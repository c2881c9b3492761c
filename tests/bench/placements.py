"""Acknowledged placements per second into a real etcd, over gRPC with certificates, while agents with in-memory drivers
run the hubs. Coordinator, agents and client are processes of their own, as they are in a federation.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from federation.api.v1 import control_pb2, control_pb2_grpc
from federation.api.v1.classroom_pb2 import ClassroomSpec
from federation.runtime.bridge import to_message
from federation.runtime.grpc_client import Channels
from federation.runtime.tls import TlsFiles
from tests.bench.placing_processes import SITES
from tests.bench.side_by_side import verdict
from tests.support.certificates import Certificates
from tests.support.classrooms import classroom
from tests.support.etcd import etcd
from tests.support.virtual import UUID

AT_ONCE = 16


def placements(count: int) -> list[str]:
    """One row: how many were acknowledged per second, and how long until all served."""
    with tempfile.TemporaryDirectory() as folder, etcd() as cluster:
        certificates = Certificates(Path(folder), UUID)
        user, coordinator = certificates.user("ada"), certificates.coordinator()
        agents = [certificates.agent(site, f"uid-{site}") for site in SITES]
        with _server("coordinator", cluster.endpoints[0], coordinator) as server:
            assert server.stdout is not None
            address = f"127.0.0.1:{int(server.stdout.readline())}"
            with _server("agents", address, *agents):
                acknowledged, serving = asyncio.run(_drive(address, user, count))
    rate = count / acknowledged
    goal = verdict(50, rate)
    return [f"| {count} | {rate:.0f} per second; goal at least 50: {goal} | {serving:.1f} s |"]


@contextmanager
def _server(what: str, address: str, *certificates: TlsFiles) -> Iterator[subprocess.Popen[str]]:
    files = [str(path) for tls in certificates for path in (tls.cert, tls.key)]
    words = [sys.executable, "-m", "tests.bench.placing_processes", what, address, str(certificates[0].ca), *files]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        yield server
    finally:
        server.terminate()
        server.wait()


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

        while await _ready(stub) < len(SITES):
            await asyncio.sleep(0.1)
        began = time.perf_counter()
        await asyncio.gather(*(place_some() for _ in range(AT_ONCE)))
        acknowledged = time.perf_counter() - began
        while await _serving(stub) < count:
            assert time.perf_counter() - began < 900, "not all serve"
            await asyncio.sleep(1 + count / 1000)
        return acknowledged, time.perf_counter() - began


async def _ready(stub: Any) -> int:
    sites = await stub.ListSites(control_pb2.ListSitesRequest(), timeout=30)
    return sum(bool(site.edge_address) for site in sites.items)


async def _serving(stub: Any) -> int:
    found, token = 0, ""
    while True:
        page = await stub.List(control_pb2.ListRequest(page_token=token), timeout=30)
        found += len([hub for hub in page.items if hub.status.phase == "Serving"])
        token = page.next_page_token
        if not token:
            return found
