"""Where a local federation keeps what, and the choices that are made once: ports, uuids, certificates.

Everything lies in one directory that nobody else can read. Ports are kept over restarts, so that names stay; they are
chosen anew only by `repick`.
"""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

from federation.cli.local.domains import Domain, agent_of, domains_of, ports_of
from federation.cli.local.files import USER, write_files
from federation.model.errors import InvalidRequest, Refused
from federation.model.federation_file import WITNESS
from federation.model.identity import DNS_LABEL
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.identity_uri import agent_host, agent_uri, coordinator_uri, user_uri
from federation.runtime.pki import LOOPBACK, Authority, serves_as
from federation.runtime.tls import TlsFiles

NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
LONGEST_NAME = 63  # a DNS label
DEFAULT_SITES = ("iu", "tacc")


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

    @property
    def domains(self) -> tuple[Domain, ...]:
        """Where register members and coordinators run."""
        return domains_of(tuple(self.sites))

    @property
    def coordinators(self) -> tuple[str, ...]:
        """Ids of all coordinators."""
        return tuple(name for domain in self.domains for name in domain.coordinators)


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
    def copies(self) -> Path:
        """Copies of homes, a folder below for each site that writes: a store that neither site would be lost with."""
        return self.root / "copies"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the running supervisor; contains its pid."""
        return self.root / "supervisor.lock"

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts or stops it."""
        return self.root / "start.lock"

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


def site_names(text: str) -> tuple[str, ...]:
    """The names between the commas; none if there is nothing. InvalidRequest before anything is made for a bad one."""
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    for name in names:
        if DNS_LABEL.fullmatch(name) is None:
            raise InvalidRequest(
                f"{name!r} cannot be a site's name", help="A DNS label: a-z, 0-9 and - inside; e.g. --sites iu,tacc"
            )
        if name == WITNESS:
            raise InvalidRequest(f"no site can be called {WITNESS}: it never holds a hub", help="Choose another name.")
        if names.count(name) > 1:
            raise InvalidRequest(f"site {name} is named twice", help="Give each site a name of its own.")
    return names


def prepare(layout: Layout, sites: tuple[str, ...], clock: Clock, disk: Disk, *, profile: str = "") -> Choices:
    """Make what is missing; what is there stays as it is. InvalidRequest if the directory is of other sites or of
    another profile (none given: whichever it has), or of an earlier version."""
    choices = load(layout, disk)
    if choices is not None:
        choices = _with_ports_of_agents(choices)
        _same(layout, choices, sites, profile)
    else:
        choices = _choose(layout, sites or DEFAULT_SITES, profile or "lab")
    for folder in (layout.root, layout.root / "sites", *(layout.state("sites", site) for site in choices.sites)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.getuid() == 0:
            folder.chmod(0o711)  # students run under system uids of their own and must get through to their homes
    _save(layout, choices, disk)
    for folder in (layout.log("x").parent, layout.state("coordinators"), layout.copies):
        folder.mkdir(mode=0o700, exist_ok=True)
    _certificates(layout, choices, clock, disk)
    write_files(layout, choices, disk)
    return choices


def _choose(layout: Layout, sites: tuple[str, ...], profile: str) -> Choices:
    members = {site: str(uuid4()) for site in sites}
    roles = ports_of(domains_of(tuple(members)), tuple(members))
    ports = dict(zip(roles, _free_ports(len(roles)), strict=True))
    # the directory may be called anything, a federation may not
    name = NOT_IN_NAMES.sub("-", layout.root.name.lower())[:LONGEST_NAME].strip("-") or "local"
    return Choices(name, str(uuid4()), ports, members, profile)


def _with_ports_of_agents(choices: Choices) -> Choices:
    """Agents listen since they ask each other; a federation made before that gets its ports now."""
    missing = [role for role in map(agent_of, choices.sites) if role not in choices.ports]
    return replace(choices, ports={**choices.ports, **dict(zip(missing, _free_ports(len(missing)), strict=True))})


def _same(layout: Layout, choices: Choices, sites: tuple[str, ...], profile: str) -> None:
    if set(choices.ports) != set(ports_of(choices.domains, tuple(choices.sites))):
        # a register does not grow from one member to three by being started with other words
        raise InvalidRequest(
            f"{layout.root} was made by another version of fedctl, which ran other register members and coordinators",
            help=f"`fedctl down --delete --dir {layout.root}` deletes it with all homes; `fedctl up` then starts anew. "
            "Students' files lie in sites/*/homes: copy first what is still needed.",
        )
    if sites and set(sites) != set(choices.sites):
        raise InvalidRequest(
            f"{layout.root} is a federation of {', '.join(choices.sites)}, not of {', '.join(sites)}",
            help="Take another --dir, or leave --sites out.",
        )
    if profile and profile != choices.profile:
        raise InvalidRequest(
            f"{layout.root} is a federation of profile {choices.profile}, not {profile}",
            help="Take another --dir, or leave --profile out.",
        )


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
    """New ports for the roles in `taken`, whose old ones belong to somebody else now. Refused for those by which the
    members of a register know each other: they are written in its data."""
    kept = sorted(taken & {domain.peer for domain in choices.domains if len(choices.domains) > 1})
    if kept:
        ports = ", ".join(str(choices.ports[role]) for role in kept)
        raise Refused(
            f"the register of {layout.root} needs port {ports}, which another program has now",
            help="End that program (`ss -ltnp` shows it) or wait for it, then `fedctl up` again; nothing is lost.",
        )
    fresh = dict(zip(sorted(taken), _free_ports(len(taken)), strict=True))
    changed = replace(choices, ports={**choices.ports, **fresh})
    _save(layout, changed, disk)
    write_files(layout, changed, disk)
    return changed


def _save(layout: Layout, choices: Choices, disk: Disk) -> None:
    disk.replace(layout.choices, json.dumps(asdict(choices), indent=1).encode())


def _certificates(layout: Layout, choices: Choices, clock: Clock, disk: Disk) -> None:
    now = clock.now()
    authority = Authority.open_or_create(layout.pki, disk, f"hubfed {choices.name}", now)
    register = Authority.open_or_create(layout.pki / "register", disk, f"hubfed {choices.name} register", now)
    wanted: list[tuple[Authority, str, str | None, tuple[str, ...]]] = [
        *((register, domain.etcd, None, LOOPBACK) for domain in choices.domains),
        (register, "register", None, ()),
        *((authority, c, coordinator_uri(choices.uuid, c), LOOPBACK) for c in choices.coordinators),
        *(
            (authority, f"agent-{site}", agent_uri(choices.uuid, site, uid), (agent_host(site, uid),))
            for site, uid in choices.sites.items()
        ),
        (authority, USER, user_uri(choices.uuid, USER), ()),
    ]
    for issuer, name, uri, hosts in wanted:
        known = layout.tls(name)
        if not (issuer.has_issued(known, disk) and serves_as(disk.read(known.cert), hosts)):
            issuer.write(issuer.issue(name, now, uri=uri, hosts=hosts), layout.pki, name, disk)


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
