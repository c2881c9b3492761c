"""Which certificates a federation of several hosts needs, from its file: one folder per host, to be copied there whole.

Two CAs, as everywhere: what opens the register is trusted for nothing else. The CAs' keys stay where they were made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from federation.model.errors import InvalidRequest
from federation.model.federation_file import CoordinatorSettings, FederationFile
from federation.runtime.disk import Disk
from federation.runtime.identity_uri import agent_host, agent_uri, coordinator_uri, user_uri
from federation.runtime.pki import LOOPBACK, Authority

EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 - refused, not listened on
USERS = "users"
MARK = "register.uuid"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One certificate: where its three files go below the output folder, who it names, and the hosts it serves as."""

    folder: str
    name: str
    who: str
    hosts: tuple[str, ...] = ()
    uri: str | None = None
    of_register: bool = False

    def files(self, out: Path) -> tuple[Path, Path, Path]:
        """CA, certificate, key."""
        folder = out / self.folder
        return folder / f"{self.name}.ca.pem", folder / f"{self.name}.pem", folder / f"{self.name}.key"


def register_of(federation: FederationFile) -> str:
    """The register's id; InvalidRequest offers one if the file has none."""
    found = federation.spec.register_.uuid
    if found is None:
        raise InvalidRequest(
            f"federation {federation.name} has no spec.register.uuid, which every certificate names",
            help=f"Add `uuid: {uuid4()}` below spec.register; all hosts need the same file.",
        )
    return found


def sites_of(federation: FederationFile, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Sites that the coordinators name, and those that hold hubs only."""
    named = (one.site for one in federation.spec.coordinators if one.site is not None)
    return tuple(dict.fromkeys([*named, *more]))


def certificates(federation: FederationFile, uids: dict[str, str], users: Iterable[str]) -> Iterator[Wanted]:
    """All of them. `uids`: of the agents, by site. InvalidRequest if a host cannot be named."""
    spec, register = federation.spec, register_of(federation)
    folders = {one.member: _folder(one) for one in spec.coordinators if one.member is not None}
    members: dict[str, dict[str, None]] = {}  # folder -> names: members of one folder are of one host, or equal in rank
    for endpoint in dict.fromkeys(spec.register_.endpoints):
        host = _host(endpoint, f"register member {endpoint}", "spec.register.endpoints")
        members.setdefault(folders.get(endpoint, f"hosts/{host}"), {})[host] = None
    for folder, hosts in members.items():
        yield Wanted(folder, "etcd", "register member", _with_loopback(*hosts), of_register=True)
    for one in spec.coordinators:
        host = _host(one.address, f"coordinator {one.id}", "its `advertise`")
        alone = sum(_folder(other) == _folder(one) for other in spec.coordinators) == 1
        name = "coordinator" if alone else f"coordinator-{one.id}"
        uri = coordinator_uri(register, one.id)
        yield Wanted(_folder(one), name, f"coordinator {one.id}", _with_loopback(host), uri)
    for folder in dict.fromkeys(_folder(one) for one in spec.coordinators):
        yield Wanted(folder, "register", "coordinators at the register", of_register=True)
    for site, uid in uids.items():
        name = agent_host(site, uid)
        yield Wanted(f"hosts/{site}", "agent", f"agent of {site}", (name,), agent_uri(register, site, uid))
    for user in dict.fromkeys([*spec.admins, *users]):
        yield Wanted(USERS, user, f"user {user}", uri=user_uri(register, user))


def agents_uids(out: Path, sites: Iterable[str], disk: Disk) -> dict[str, str]:
    """Each site's uid, drawn once: with another one its agent would be somebody else."""
    answer = {}
    for site in sites:
        path = out / "hosts" / site / "agent.uid"
        content = disk.read(path)
        answer[site] = content.decode().strip() if content else str(uuid4())
        if not content:
            disk.replace(path, f"{answer[site]}\n".encode())
    return answer


def authorities(out: Path, federation: FederationFile, disk: Disk, now: datetime) -> dict[bool, Authority]:
    """The CAs by `of_register`, made if this folder never had any. InvalidRequest if it is another federation's, or if
    a CA lost its key: a new one would be trusted by nobody."""
    register = register_of(federation)
    mark = disk.read(out / MARK)
    if mark is not None and mark.decode().strip() != register:
        raise InvalidRequest(
            f"{out} holds certificates of the register {mark.decode().strip()}, the file names {register}",
            help="Take another --out, or correct spec.register.uuid.",
        )
    found = {}
    for of_register, folder in ((False, out), (True, out / "register")):
        if mark is not None and (disk.read(folder / "ca.key") is None or disk.read(folder / "ca.pem") is None):
            raise InvalidRequest(
                f"{folder}: the CA that issued what is here, ca.pem and ca.key, is not there any more",
                help="Bring both files back. A new CA means new certificates for all: take another --out for that.",
            )
        name = f"hubfed {federation.name}{' register' if of_register else ''}"
        found[of_register] = Authority.open_or_create(folder, disk, name, now)
    disk.replace(out / MARK, f"{register}\n".encode())
    return found


def _folder(coordinator: CoordinatorSettings) -> str:
    return f"hosts/{coordinator.domain or coordinator.id}"


def _with_loopback(*hosts: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*hosts, *LOOPBACK]))


def _host(address: str, what: str, where: str) -> str:
    host = address.rpartition(":")[0].strip("[]")
    if host in EVERYWHERE:
        raise InvalidRequest(
            f"{what} listens at every address of its host, and a certificate must name one",
            help=f"Say in {where} where others reach it, e.g. c1.hubs.example.edu:8443.",
        )
    return host
