"""The file that describes one hub to its own process: `hub.json`, 0600, in the hub's directory.

The driver writes it; the hub's configuration reads it at start, spawner and authenticator read it at each use, so that
what can change while the hub runs (roster, limits, image) does so without a restart. It holds secrets.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from pathlib import Path

from pydantic import Field, JsonValue

from agents.drivers.base import HubOrder
from agents.drivers.hub_address import HubAddress
from agents.drivers.local.marks import HUB_FILE_NAME
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from federation.model.schema import Document, Model
from federation.runtime.cgroups import Cgroups

NAME = HUB_FILE_NAME


class Ports(Model):
    """On 127.0.0.1; kept over restarts, for the students' servers know them."""

    proxy: int
    proxy_api: int
    hub: int


class HubSecrets(Model):
    """Drawn once per hub, never leave this site."""

    api_token: str = Field(repr=False)
    proxy_token: str = Field(repr=False)
    cookie_secret: str = Field(repr=False)

    @classmethod
    def draw(cls) -> HubSecrets:
        """Fresh ones."""
        return cls(
            api_token=secrets.token_hex(32), proxy_token=secrets.token_hex(32), cookie_secret=secrets.token_hex(32)
        )


class Place(Model):
    """Where students' servers live at this site."""

    site: str
    federation: str
    homes: str
    interpreter: str
    uids_file: str
    first_uid: int | None = None  # None: servers run as the agent's own user
    member_root: str | None = None
    memory_root: str | None = None
    cpu_root: str | None = None

    def cgroups(self) -> Cgroups:
        """The control groups that the agent found; probing again from inside one would nest them."""
        member, memory, cpu = (
            Path(root) if root else None for root in (self.member_root, self.memory_root, self.cpu_root)
        )
        return Cgroups(member, memory, cpu)


class ServerSettings(Model):
    """What a student's server is started with; a change is for new servers only."""

    image: str
    memory_guarantee: int
    memory_limit: int
    cpu_guarantee_millis: int
    cpu_limit_millis: int


class HubSettings(Model):
    """What the hub process is started with; a change restarts it (students' servers live on)."""

    auth_type: str
    auth_options: dict[str, JsonValue] = Field(default_factory=dict)
    auth_secret: str = Field(repr=False)
    admit: str
    public_url: str
    start_timeout_s: int
    concurrent_spawns: int
    active_servers: int


class Roster(Model):
    """Who may sign in; live."""

    users: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Everybody."""
        return frozenset((*self.users, *self.admins))


class HubFile(Document):
    """The whole file."""

    hub: str
    epoch: Epoch
    generation: int
    ports: Ports
    secrets: HubSecrets
    place: Place
    hub_settings: HubSettings
    server_settings: ServerSettings
    roster: Roster
    applied: Roster  # what the running hub was last told
    notice: str = ""  # live: nobody signs in and no server starts, and this is why
    groups: tuple[str, ...] = ()  # control groups made for it, also by earlier agents

    @property
    def server_hash(self) -> str:
        """Marks servers, so that outdated ones can be counted."""
        return hashlib.sha256(self.server_settings.model_dump_json().encode()).hexdigest()[:12]

    @property
    def address(self) -> HubAddress:
        """Where the agent reaches it."""
        at = self.ports
        return HubAddress(self.hub, f"127.0.0.1:{at.hub}", f"127.0.0.1:{at.proxy}", self.secrets.api_token)

    @classmethod
    def read(cls, path: Path) -> HubFile | None:
        """None if there is none; DriverError if it cannot be understood."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DriverError(f"{path} cannot be understood; move it away to make the hub anew: {error}") from error


def hub_settings(order: HubOrder) -> HubSettings:
    """The part of an order that needs a restart."""
    spec = order.classroom.spec
    return HubSettings(
        auth_type=spec.auth.type.value,
        auth_options=dict(spec.auth.options),
        auth_secret=order.secrets.get("auth", ""),
        admit=spec.roster.admit.value,
        public_url=order.public_url,
        start_timeout_s=spec.limits.start_timeout,
        concurrent_spawns=spec.limits.concurrent_spawns,
        active_servers=spec.active_server_limit,
    )


def server_settings(order: HubOrder) -> ServerSettings:
    """The part of an order that is for new servers."""
    spec = order.classroom.spec
    return ServerSettings(
        image=f"{spec.image.name}:{spec.image.tag}" if spec.image.tag else f"{spec.image.name}@{spec.image.digest}",
        memory_guarantee=spec.seat_memory_bytes,
        memory_limit=spec.resources.memory.limit.bytes,
        cpu_guarantee_millis=spec.seat_cpu_millis,
        cpu_limit_millis=spec.resources.cpu.limit.millis,
    )


def roster(order: HubOrder) -> Roster:
    """The live part of an order."""
    wanted = order.classroom.spec.roster
    return Roster(users=wanted.students, admins=wanted.admins)


def place(settings: LocalSettings, hub: str, cgroups: Cgroups, *, isolated: bool) -> Place:
    """The part that the site decides."""

    def text(path: Path | None) -> str | None:
        return str(path) if path is not None else None

    return Place(
        site=settings.site,
        federation=settings.federation,
        homes=str(settings.homes_dir / hub),
        interpreter=str(settings.interpreter),
        uids_file=str(settings.uids_file),
        first_uid=settings.first_student_uid if isolated else None,
        member_root=text(cgroups.member_root),
        memory_root=text(cgroups.memory_root),
        cpu_root=text(cgroups.cpu_root),
    )


def encode(file: HubFile) -> bytes:
    """For the disk."""
    return json.dumps(file.model_dump(mode="json"), indent=1).encode()
