"""A real BIND for tests: primaries that take signed updates, and secondaries, on free ports of 127.0.0.1.

The program comes from `scripts/get-bind`. Everything lies below one temporary folder and is gone at the end.
"""

from __future__ import annotations

import base64
import functools
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.tsig
import dns.update
import pytest

from federation.dns.name_server import NameServer
from tests.support.etcd import free_ports
from tests.support.freezing import freeze

ROOT = Path(__file__).resolve().parents[2]
ZONE = "hubs.test"
KEY_NAME = "hubfed"
READY_S = 20.0
TTL_S = 30


@functools.cache
def named() -> Path:
    """The program; skipped with the reason where it cannot be had, a failure under CI."""
    done = subprocess.run([ROOT / "scripts/get-bind"], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        reason = f"no BIND to test against: {done.stderr.strip()[-300:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return Path(done.stdout.strip())


def new_key(name: str = KEY_NAME) -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_text(name), secrets.token_bytes(32), dns.tsig.HMAC_SHA256)


def secret_of(key: dns.tsig.Key) -> str:
    """As it stands in a key file."""
    return base64.b64encode(key.secret).decode()


@dataclass
class Bind:
    """One server of `ZONE`. With `primary`, a port, it is a secondary that hears of changes when it is notified."""

    folder: Path
    port: int
    key: dns.tsig.Key
    primary: int = 0
    records: str = ""
    policy: str = "zonesub A AAAA CNAME TXT"
    host: str = "127.0.0.1"
    primary_host: str = "127.0.0.1"
    notifies: str = ""  # the host of a secondary, at the same port, that is told of every change
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def server(self, key: dns.tsig.Key | None = None) -> NameServer:
        """As the driver sees it, with the server's own key or another one."""
        return NameServer(self.address, key or self.key)

    def start(self) -> None:
        """Returns when it answers: with the zone, or with what it says while it has none."""
        self.folder.mkdir(exist_ok=True)
        zone, config = self.folder / "zone", self.folder / "named.conf"
        if not self.primary and not zone.exists():
            zone.write_text(f"$TTL {TTL_S}\n@ SOA ns admin 1 600 600 6000 5\n@ NS ns\nns A {self.host}\n{self.records}")
        config.write_text(self._config(zone))
        with (self.folder / "log").open("ab") as log:
            words = [str(named()), "-g", "-n", "1", "-c", str(config)]
            self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder)
        self.wait_until(lambda: self._asked("SOA") is not None, "answers")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        freeze(self.process.pid)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def edit(self, *changes: tuple[str, ...]) -> None:
        """Change the zone as by hand: ("add", name, type, value) or ("delete", name[, type])."""
        update = dns.update.UpdateMessage(ZONE)
        for verb, host, *rest in changes:
            name = dns.name.from_text(host)
            if verb == "add":
                update.add(name, TTL_S, *rest)
            else:
                update.delete(name, *rest)
        update.use_tsig(self.key)
        answer = dns.query.tcp(update, self.host, port=self.port, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR

    def values(self, name: str, kind: str) -> list[str]:
        """What it says of a name."""
        answer = dns.query.udp(dns.message.make_query(name, kind), self.host, port=self.port, timeout=5)
        return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)

    def ttl(self, name: str, kind: str) -> int:
        answer = dns.query.udp(dns.message.make_query(name, kind), self.host, port=self.port, timeout=5)
        return answer.answer[0].ttl

    def serial(self) -> int:
        """Of its copy of the zone; -1: it has none."""
        answer = self._asked("SOA")
        return answer.answer[0][0].serial if answer is not None and answer.answer else -1

    def notified(self) -> None:
        """The primary's word that the zone has changed; nobody else gives it here."""
        message = dns.message.make_query(ZONE, "SOA")
        message.set_opcode(dns.opcode.NOTIFY)
        message.flags |= dns.flags.AA
        dns.query.udp(message, self.host, port=self.port, timeout=5)

    @staticmethod
    def wait_until(true: object, what: str) -> None:
        assert callable(true)
        deadline = time.monotonic() + READY_S
        while not true():
            assert time.monotonic() < deadline, f"not within {READY_S:g} s: {what}"
            time.sleep(0.01)

    def _asked(self, kind: str) -> dns.message.Message | None:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with suppress(dns.exception.DNSException, OSError):
            return dns.query.udp(dns.message.make_query(ZONE, kind), self.host, port=self.port, timeout=0.1)
        return None

    def _config(self, zone: Path) -> str:
        if self.primary:
            kind = f'type secondary; primaries {{ {self.primary_host} port {self.primary}; }}; file "{zone}";'
        else:
            kind = f'type primary; file "{zone}"; update-policy {{ grant {KEY_NAME} {self.policy}; }};'
            if self.notifies:
                kind += f" notify explicit; also-notify {{ {self.notifies} port {self.port}; }}; notify-delay 0;"
        folder = self.folder
        return f"""
options {{
  directory "{folder}"; pid-file "{folder}/pid"; session-keyfile "{folder}/session.key";
  listen-on port {self.port} {{ {self.host}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; allow-transfer {{ any; }};
}};
controls {{ }};
key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{secret_of(self.key)}"; }};
zone "{ZONE}" {{ {kind} }};
"""


@dataclass
class NameServers:
    """A primary that runs, and whatever a test adds; all are killed at the end."""

    folder: Path
    primary: Bind
    others: list[Bind] = field(default_factory=list)

    def secondary(self, of: int = 0) -> Bind:
        """A started secondary of the primary, or of whatever is at port `of`."""
        (port,) = free_ports(1)
        other = Bind(self.folder / f"s{port}", port, self.primary.key, primary=of or self.primary.port)
        self.others.append(other)
        other.start()
        return other


@contextmanager
def bind(records: str = "", policy: str = Bind.policy) -> Iterator[NameServers]:
    """A primary with these further records in its zone."""
    named()
    folder = Path(tempfile.mkdtemp(prefix="hubfed-bind-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    (port,) = free_ports(1)
    servers = NameServers(folder, Bind(folder / "primary", port, new_key(), records=records, policy=policy))
    try:
        servers.primary.start()
        yield servers
    finally:
        for one in (servers.primary, *servers.others):
            one.kill()
        shutil.rmtree(folder, ignore_errors=True)
