"""A federation with a real gRPC server in front and everything behind it in memory: for fedctl's own tests.

Coordinator and agents are the product's; store and sites are the in-memory twins. Runs in a thread of its own on real
time, because fedctl is another process.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import yaml

from federation.api.v1 import agent_pb2_grpc, control_pb2, control_pb2_grpc, types_pb2
from federation.coordinator.hooks_loop import NO_HOOKS, Hooks
from federation.coordinator.replica import Replica
from federation.coordinator.rights import RIGHTS
from federation.dns.memory import MemoryNames
from federation.runtime.access import AccessCheck
from federation.runtime.clock import SystemClock
from federation.runtime.grpc_server import ControlServer, build_server
from federation.store import keys
from federation.store.memory import MemoryStore
from federation.store.register import Register
from tests.support.certificates import Certificates
from tests.support.memory_transport import MemoryTransport
from tests.support.virtual import UUID, VirtualFederation

FEDCTL = Path(sys.executable).parent / "fedctl"
SITES = ("iu", "tacc")
CORES = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass
class Served:
    """The server, and fedctl with contexts for it: `ada` is an admin, `vic` only reads, `dead` asks a dead address
    first."""

    folder: Path
    address: str
    federation: VirtualFederation
    replica: Replica
    loop: asyncio.AbstractEventLoop
    env: dict[str, str] = field(default_factory=dict)
    named_by: dict[str, str] = field(default_factory=dict)

    def fedctl(self, *words: str, context: str = "ada", stdin: str = "", limit_s: float = 60.0) -> Answer:
        done = subprocess.run(
            [FEDCTL, *words],
            env={**self.env, "FEDCTL_CONTEXT": context},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, **more: Any) -> Answer:
        answer = self.fedctl(*words, **more)
        assert answer.code == 0, (words, answer)
        return answer

    def document(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "-o", "json").out)

    def condition(self, name: str, kind: str) -> str:
        """Status of one of a class's conditions; empty if it has none of the kind."""
        said = self.document("get", name)["status"]["conditions"]
        return next((str(c["status"]) for c in said if c["type"] == kind), "")

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [FEDCTL, *words],
            env={**self.env, "FEDCTL_CONTEXT": "ada"},
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something on the federation's own loop."""

        async def done() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(30)

    def classroom(self, name: str, **spec: Any) -> str:
        """A file of this name; returns its path. Tests run in any order on one federation: a name belongs to one."""
        test = os.environ["PYTEST_CURRENT_TEST"].partition("[")[0].partition(" ")[0]
        assert self.named_by.setdefault(name, test) == test, f"{name} is the class of {self.named_by[name]}"
        body = {
            "apiVersion": "hubfed/v1",
            "kind": "Classroom",
            "metadata": {"name": name},
            "spec": {
                "term": {"start": "2026-08-24", "end": "2027-05-14", "timezone": "America/Chicago"},
                "contacts": {"instructor": "prof"},
                "roster": {"expected": 2, "admins": ["prof"], "users": ["s01", "s02"]},
                "auth": {"type": "dummy"},
                "image": {"name": "example/lab", "tag": "2026aug"},
                "placement": {"allow": ["iu", "tacc"], "prefer": "iu"},
                "dns": {"host": f"{name}.localhost"},
                **spec,
            },
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(body))
        return str(path)


@contextmanager
def served(folder: Path, hooks: Hooks = NO_HOOKS) -> Iterator[Served]:
    """Up and joined; down at the end. With real hooks, if there are any."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Awaitable[T], limit_s: float = 30.0) -> T:
        async def done() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(done(), loop).result(limit_s)

    certificates = Certificates(folder / "pki", UUID)
    federation, replica, server = do(_start(certificates, hooks))
    try:
        address = f"127.0.0.1:{server.port}"
        here = Served(folder, address, federation, replica, loop, env=_environment(folder))
        _contexts(folder, address, certificates)
        do(_joined(replica, federation))
        yield here
    finally:
        do(server.stop(replica.sessions.end_all))
        do(federation.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _start(certificates: Certificates, hooks: Hooks) -> tuple[VirtualFederation, Replica, ControlServer]:
    clock = SystemClock()
    federation = VirtualFederation(clock, Random(1), MemoryStore(clock), MemoryTransport(), MemoryNames())
    federation.hooks = hooks
    register = await Register.open(federation.store, UUID, ("ada",))
    replica = await federation.start_replica("c1")
    await replica.mirror.synced()
    roles = {"vic": ("viewer",)}
    access = AccessCheck(
        RIGHTS, lambda: register.identity.uuid, lambda user: roles.get(user) or replica.snapshot.roles_of(user)
    )
    server = build_server("127.0.0.1:0", certificates.coordinator(), access)
    agent_pb2_grpc.add_AgentServiceServicer_to_server(replica.agent_service, server.grpc)
    control_pb2_grpc.add_ControlServiceServicer_to_server(replica.control_service, server.grpc)
    await server.start()
    return federation, replica, server


async def _joined(replica: Replica, federation: VirtualFederation) -> None:
    for name in SITES:
        site = federation.add_site(name, cores=CORES, gib=2 * CORES)
        site.start_delay_s = site.stop_delay_s = 0.05
        capacity = types_pb2.Capacity(cpu_millis=CORES * 1000, memory_bytes=2 * CORES * 2**30)
        request = control_pb2.JoinSiteRequest(name=name, kind="local", uid=f"uid-{name}", capacity=capacity)
        while replica.mirror.get(keys.REGISTER_ID) is None:
            await asyncio.sleep(0.02)
        await replica.control_service.secrets_and_sites.join(request, "test")
        federation.start_agent(name)
    while not all(replica.sightings.age_s(n) is not None for n in SITES) or not all(
        s.edge_address for s in replica.snapshot.sites()
    ):
        await asyncio.sleep(0.02)


def _environment(folder: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG", "HUBFED_TEST_RUN")}
    return {**kept, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "COLUMNS": "100"}


def _contexts(folder: Path, address: str, certificates: Certificates) -> None:
    def context(user: str, *addresses: str) -> dict[str, Any]:
        tls = certificates.user(user)
        return {"coordinators": addresses, "ca": str(tls.ca), "cert": str(tls.cert), "key": str(tls.key)}

    dead = "127.0.0.1:9"
    contexts = {
        "ada": context("ada", address),
        "vic": context("vic", address),
        "eve": context("eve", address),
        "dead-first": context("ada", dead, address),
        "all-dead": context("ada", dead, "127.0.0.1:19"),
    }
    file = folder / "config/hubfed/contexts.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"current": "ada", "contexts": contexts}))
