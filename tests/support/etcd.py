"""A real etcd for tests: one member or three on free ports, with or without TLS; killed, frozen and started again at will.

The program is one whose data survive kill -9 (`scripts/get-etcd`). Everything lies below one temporary folder.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from federation.model.errors import FederationError
from federation.runtime.etcd_process import EtcdBinary, EtcdMemberSettings, etcd_arguments
from federation.runtime.tls import TlsFiles
from federation.store.etcd import EtcdStore
from tests.support.freezing import freeze

ROOT = Path(__file__).resolve().parents[2]
READY_S = 20.0


@functools.cache
def safe_etcd() -> EtcdBinary:
    """The program; installed if need be."""
    done = subprocess.run([ROOT / "scripts/get-etcd"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    return EtcdBinary(path, version.split("etcd Version: ")[1].split()[0])


def free_ports(count: int) -> list[int]:
    with_sockets = [socket.socket() for _ in range(count)]
    for one in with_sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in with_sockets]
    for one in with_sockets:
        one.close()
    return ports


@dataclass
class EtcdProcess:
    """One member."""

    settings: EtcdMemberSettings
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return self.settings.client

    def start(self) -> None:
        with self.log.open("ab") as log:
            words = etcd_arguments(safe_etcd(), self.settings)
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.log.parent)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        if number is signal.SIGSTOP:
            freeze(self.process.pid)
        else:
            self.process.send_signal(number)

    def keep(self, name: str) -> None:
        """Copy the data of a member that does not run."""
        shutil.copytree(self.settings.data_dir, self.settings.data_dir.with_name(name))

    def put_back(self, name: str) -> None:
        """Put a copy in the place of the data of a member that does not run."""
        shutil.rmtree(self.settings.data_dir)
        shutil.copytree(self.settings.data_dir.with_name(name), self.settings.data_dir)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class EtcdCluster:
    """All members; clients' settings in `tls`."""

    members: list[EtcdProcess]
    tls: TlsFiles | None = None
    stores: list[EtcdStore] = field(default_factory=list)

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(member.endpoint for member in self.members)

    def store(
        self, prefix: str = "test", *, timeout_s: float = 5.0, silence_s: float = 3.0, endpoints: tuple[str, ...] = ()
    ) -> EtcdStore:
        """A client; closed by the test or by `connected`."""
        return EtcdStore(
            endpoints or self.endpoints, tls=self.tls, prefix=prefix, timeout_s=timeout_s, silence_s=silence_s
        )

    @asynccontextmanager
    async def connected(
        self, prefix: str = "test", *, timeout_s: float = 5.0, silence_s: float = 3.0
    ) -> AsyncIterator[EtcdStore]:
        """A client that is closed at the end; the cluster answers."""
        store = self.store(prefix, timeout_s=timeout_s, silence_s=silence_s)
        try:
            await answers(store)
            yield store
        finally:
            await store.close()


async def answers(store: EtcdStore) -> None:
    """Wait until the store can be read."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            await store.get("ready", timeout_s=1.0)
        except FederationError:
            assert time.monotonic() < deadline, f"etcd did not answer within {READY_S:g} s"
            await asyncio.sleep(0.05)
        else:
            return


@contextmanager
def etcd(
    size: int = 1, *, tls: TlsFiles | None = None, client_tls: TlsFiles | None = None, quota_bytes: int = 2**31
) -> Iterator[EtcdCluster]:
    """Start a cluster of `size` members; kill it and delete its data at the end."""
    folder = Path(tempfile.mkdtemp(prefix="hubfed-etcd-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    ports = free_ports(2 * size)
    peers = {f"m{n}": f"127.0.0.1:{ports[2 * n]}" for n in range(size)}
    members = [
        EtcdProcess(
            EtcdMemberSettings(name, folder / name, f"127.0.0.1:{ports[2 * n + 1]}", peer, peers, tls, quota_bytes),
            folder / f"{name}.log",
        )
        for n, (name, peer) in enumerate(peers.items())
    ]
    try:
        for member in members:
            member.start()
        yield EtcdCluster(members, client_tls or tls)
    finally:
        for member in members:
            member.kill()
        shutil.rmtree(folder, ignore_errors=True)
