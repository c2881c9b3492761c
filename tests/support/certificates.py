"""Throw-away certificates of one federation, made for one test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from federation.runtime.disk import LocalDisk
from federation.runtime.identity_uri import agent_host, agent_uri, coordinator_uri, user_uri
from federation.runtime.pki import LOOPBACK, Authority
from federation.runtime.tls import TlsFiles

REGISTER = str(UUID(int=0x5EED))
OTHER_REGISTER = str(UUID(int=0xBAD))


class Certificates:
    """A CA and what it issues; files lie below `directory`, which the test's tmp_path owns."""

    def __init__(self, directory: Path, register: str = REGISTER) -> None:
        self.directory = directory
        self.register = register
        self.disk = LocalDisk()
        self.now = datetime.now(UTC)
        self.authority = Authority.create("test", self.now)

    def coordinator(self, name: str = "c1") -> TlsFiles:
        return self.issue(f"coordinator-{name}", uri=coordinator_uri(self.register, name), hosts=LOOPBACK)

    def agent(self, site: str, uid: str) -> TlsFiles:
        hosts = (agent_host(site, uid),)
        return self.issue(f"agent-{site}-{uid}", uri=agent_uri(self.register, site, uid), hosts=hosts)

    def user(self, name: str, register: str = "") -> TlsFiles:
        return self.issue(f"user-{name}{register}", uri=user_uri(register or self.register, name))

    def issue(
        self, name: str, *, uri: str | None = None, hosts: tuple[str, ...] = (), valid: timedelta = timedelta(hours=1)
    ) -> TlsFiles:
        issued = self.authority.issue(name, self.now, uri=uri, hosts=hosts, valid=valid)
        return self.authority.write(issued, self.directory, name, self.disk)
