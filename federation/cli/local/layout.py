"""Where a local federation keeps what, and the choices that are made once: ports, uuids, certificates, files.

Everything lies in one directory that nobody else can read. Ports are kept over restarts, so that names stay; they are
chosen anew only by `repick`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

import yaml

from federation.model.errors import InvalidRequest
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.identity_uri import agent_uri, coordinator_uri, user_uri
from federation.runtime.pki import LOOPBACK, Authority
from federation.runtime.tls import TlsFiles

COORDINATORS = ("c1", "c2")
PORTS = ("etcd", "etcd-peer", *COORDINATORS, "frontdoor")
USER = "admin"
CPU, MEMORY = 30, "60G"


def default_dir() -> Path:
    """The XDG state folder's federation."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "hubfed" / "local"


@dataclass(frozen=True, slots=True)
class Choices:
    """What was drawn at the first start."""

    name: str
    uuid: str
    ports: dict[str, int]
    sites: dict[str, str]  # site -> uid of its member
    profile: str = "lab"

    def address(self, role: str) -> str:
        """host:port of a role."""
        return f"127.0.0.1:{self.ports[role]}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the federation's directory."""

    root: Path

    @property
    def choices(self) -> Path:
        """Ports and ids."""
        return self.root / "choices.json"

    @property
    def federation(self) -> Path:
        """The federation file."""
        return self.root / "federation.yaml"

    @property
    def pki(self) -> Path:
        """Throw-away CA and certificates."""
        return self.root / "pki"

    @property
    def names(self) -> Path:
        """The front door's table."""
        return self.root / "frontdoor" / "names.json"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the running supervisor; contains its pid."""
        return self.root / "supervisor.lock"

    def site_file(self, site: str) -> Path:
        """The site's file."""
        return self.root / "sites" / f"{site}.yaml"

    def state(self, *parts: str) -> Path:
        """A component's own folder."""
        return self.root.joinpath(*parts)

    def log(self, name: str) -> Path:
        """A component's log."""
        return self.root / "logs" / f"{name}.log"

    def tls(self, name: str) -> TlsFiles:
        """A component's certificate."""
        return TlsFiles(self.pki / f"{name}.ca.pem", self.pki / f"{name}.pem", self.pki / f"{name}.key")

    @property
    def marks(self) -> dict[str, str]:
        """Environment of every process of this federation, and of no other."""
        return {"HUBFED_DIR": str(self.root.resolve())}


def prepare(layout: Layout, sites: tuple[str, ...], clock: Clock, disk: Disk, *, profile: str = "") -> Choices:
    """Make what is missing; what is there stays as it is. InvalidRequest if the directory is of other sites, or of
    another profile (empty: whichever it has)."""
    for folder in (layout.root, layout.root / "sites", *(layout.state("sites", site) for site in sites)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.getuid() == 0:
            folder.chmod(0o711)  # students run under system uids of their own and must get through to their homes
    choices = load(layout, disk)
    if choices is None:
        ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        members = {site: str(uuid4()) for site in sites}
        choices = Choices(layout.root.name or "local", str(uuid4()), ports, members, profile or "lab")
        _save(layout, choices, disk)
    elif sites and set(sites) != set(choices.sites):
        raise InvalidRequest(
            f"{layout.root} is a federation of {', '.join(choices.sites)}, not of {', '.join(sites)}",
            help="Take another --dir, or leave --sites out.",
        )
    if profile and profile != choices.profile:
        raise InvalidRequest(
            f"{layout.root} is a federation of profile {choices.profile}, not {profile}",
            help="Take another --dir, or leave --profile out.",
        )
    for folder in (layout.log("x").parent, layout.state("coordinators")):
        folder.mkdir(mode=0o700, exist_ok=True)
    _certificates(layout, choices, clock, disk)
    _files(layout, choices, disk)
    return choices


def load(layout: Layout, disk: Disk) -> Choices | None:
    """The choices of an earlier start, or None."""
    content = disk.read(layout.choices)
    if content is None:
        return None
    try:
        return Choices(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise InvalidRequest(
            f"{layout.choices} is damaged: {error}", help="`fedctl down --delete` starts anew."
        ) from error


def repick(layout: Layout, choices: Choices, taken: set[str], disk: Disk) -> Choices:
    """New ports for the roles in `taken`, whose old ones belong to somebody else now."""
    fresh = dict(zip(sorted(taken), _free_ports(len(taken)), strict=True))
    changed = replace(choices, ports={**choices.ports, **fresh})
    _save(layout, changed, disk)
    _files(layout, changed, disk)
    return changed


def _save(layout: Layout, choices: Choices, disk: Disk) -> None:
    disk.replace(layout.choices, json.dumps(asdict(choices), indent=1).encode())


def _certificates(layout: Layout, choices: Choices, clock: Clock, disk: Disk) -> None:
    now = clock.now()
    authority = Authority.open_or_create(layout.pki, disk, f"hubfed {choices.name}", now)
    register = Authority.open_or_create(layout.pki / "register", disk, f"hubfed {choices.name} register", now)
    wanted: list[tuple[Authority, str, str | None, tuple[str, ...]]] = [
        (register, "etcd", None, LOOPBACK),
        *((authority, c, coordinator_uri(choices.uuid, c), LOOPBACK) for c in COORDINATORS),
        *((authority, f"agent-{s}", agent_uri(choices.uuid, s, uid), ()) for s, uid in choices.sites.items()),
        (authority, USER, user_uri(choices.uuid, USER), ()),
    ]
    for issuer, name, uri, hosts in wanted:
        if not layout.tls(name).key.exists():
            issuer.write(issuer.issue(name, now, uri=uri, hosts=hosts), layout.pki, name, disk)


def _files(layout: Layout, choices: Choices, disk: Disk) -> None:
    """Federation and site files as an admin would write them."""
    coordinators = [{"id": c, "listen": choices.address(c), "tls": _paths("pki", c)} for c in COORDINATORS]
    federation = {
        "profile": choices.profile,
        "register": {"uuid": choices.uuid, "endpoints": [choices.address("etcd")], "tls": _paths("pki", "etcd")},
        "coordinators": coordinators,
        "names": {
            "driver": "frontdoor",
            "zone": "localhost",
            "file": str(layout.names),
            "address": choices.address("frontdoor"),
        },
        "admins": [USER],
    }
    disk.replace(layout.federation, _document("Federation", choices.name, federation))
    for site in choices.sites:
        spec = {
            "kind": "local",
            "capacity": {"cpu": CPU, "memory": MEMORY},
            "agent": {
                "coordinators": [choices.address(c) for c in COORDINATORS],
                "profile": choices.profile,
                "tls": _paths("../pki", f"agent-{site}"),
            },
        }
        disk.replace(layout.site_file(site), _document("Site", site, spec))


def _paths(folder: str, name: str) -> dict[str, str]:
    return {"ca": f"{folder}/{name}.ca.pem", "cert": f"{folder}/{name}.pem", "key": f"{folder}/{name}.key"}


def _document(kind: str, name: str, spec: Mapping[str, object]) -> bytes:
    body = {"apiVersion": "hubfed/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return yaml.safe_dump(body, sort_keys=False).encode()


def _free_ports(count: int) -> list[int]:
    """Ports that are free now; all held open together, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
