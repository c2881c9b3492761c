"""Hubs of a `local` site: each a real JupyterHub with its own database, proxy and API token in its own directory.

`start` is called at every cycle and does only what is missing. The hub's file says what it was last told; who lives is
always found by scanning the machine, so a new agent adopts what an earlier one started.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agents.drivers.base import HubCapabilities, HubOrder, HubView, Phase
from agents.drivers.hub_api import HubApi
from agents.drivers.local import programs
from agents.drivers.local.census import Census, hubs_here, look
from agents.drivers.local.hub_file import (
    NAME,
    HubFile,
    HubSecrets,
    Ports,
    encode,
    hub_settings,
    place,
    roster,
    server_settings,
)
from agents.drivers.local.isolation import Isolation
from agents.drivers.local.log_tail import follow as follow_log
from agents.drivers.local.log_tail import last_lines
from agents.drivers.local.marks import HUB, PROXY
from agents.drivers.local.ports import can_bind, free_ports
from agents.drivers.local.settings import LocalSettings
from federation.core.home_names import slug
from federation.model.errors import DriverError, StaleEpoch
from federation.model.scalars import TESTER
from federation.model.status import RosterEntry
from federation.runtime.cgroups import Cgroups, Group
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.node import ProxyInstall
from federation.runtime.processes import Processes

log = structlog.get_logger(__name__)

MOST_EARLY_DEATHS = 2
REST_S = 20.0
STOP_GRACE_S = 5.0
PORTS_S = 3.0
STOP_LIMIT_S = 25.0


@dataclass(slots=True)
class Attempts:
    """Starts of one hub process by this agent, to tell an accident from a hub that cannot start."""

    started_mono: float = 0.0  # 0: not by this agent, or it has served since
    rest_until_mono: float = 0.0
    early_deaths: int = 0  # since it last served
    resync: bool = False  # the proxy was started anew and has no routes yet
    stopping: bool = False


@dataclass(slots=True)
class LocalHubs:
    """The HubDriver. `install` and `isolation` are asked for when they are first needed."""

    settings: LocalSettings
    processes: Processes
    clock: Clock
    disk: Disk
    cgroups: Cgroups
    install: Callable[[], Awaitable[ProxyInstall]]
    isolation: Callable[[], Awaitable[Isolation]]
    isolates: bool = False
    api: HubApi = field(default_factory=HubApi)
    _attempts: dict[str, Attempts] = field(default_factory=dict)

    @property
    def capabilities(self) -> HubCapabilities:
        limits = self.cgroups.limits_memory and self.cgroups.limits_cpu
        return HubCapabilities(
            survives_agent=True,
            adopts_servers=True,
            isolates_students=self.isolates,
            enforces_limits=limits,
            version=programs.hub_version(),
        )

    async def start(self, order: HubOrder) -> None:
        known = self.file(order.hub)
        if known is not None and order.epoch < known.epoch:
            raise StaleEpoch(f"{order.hub} was started at epoch {known.epoch} here; the order is of {order.epoch}")
        _check_sign_in(order)
        seen = await self._look(order.hub)
        if known is not None and seen.hub_lives and known.hub_settings != hub_settings(order):
            log.info("hub.restart", hub=order.hub, generation=order.generation)
            await self._stop_role(order.hub, HUB)
            self._attempts.pop(order.hub, None)
            seen = await self._look(order.hub)
        file = await self._written(order, known, seen)
        attempts = self._attempts.setdefault(order.hub, Attempts())
        if not seen.proxy_lives:
            programs.start_proxy(self.settings, self.processes, self.cgroups, await self.install(), file)
            attempts.resync = seen.hub_lives
            log.info("hub.proxy_started", hub=order.hub, port=file.ports.proxy)
        if not seen.hub_lives:
            self._check_attempts(order.hub, attempts)
            programs.start_hub(self.settings, self.processes, self.cgroups, file)
            attempts.started_mono = self.clock.mono()
            log.info("hub.started", hub=order.hub, epoch=str(order.epoch), adopted=len(seen.servers))
        else:
            await self._tell(file, attempts)

    async def observe(self, hub: str) -> HubView:
        seen = await self._look(hub)
        file = self.file(hub)
        if not seen.found or file is None:
            message = "" if not seen.found else "processes without a hub file"
            return HubView(hub=hub, phase=_bare(seen), processes=len(seen.found), message=message)
        phase, message = await self._phase(file, seen)
        draining = bool(file.notice) and phase is Phase.SERVING
        return HubView(
            hub=hub,
            phase=phase,
            epoch=file.epoch,
            generation=file.generation,
            address=f"127.0.0.1:{file.ports.proxy}",
            processes=len(seen.found),
            servers=len(seen.servers),
            used=_newest(self.settings.hub_dir(hub) / "logs"),
            outdated_servers=sum(1 for started in seen.servers.values() if started != file.server_hash),
            message=message,
            draining=draining,
            active_servers=await self.api.active_servers(file.address, self.clock.now())
            if draining and seen.servers
            else 0,
        )

    async def list(self) -> tuple[str, ...]:
        return await hubs_here(self.settings, self.processes)

    async def stop(self, hub: str, *, grace_s: float | None = None) -> None:
        attempts = self._attempts.setdefault(hub, Attempts())
        attempts.stopping = True
        try:
            ended = await self.processes.stop(
                self.settings.marks(HUB=hub),
                group=self.cgroups.group(hub),
                grace_s=STOP_GRACE_S if grace_s is None else grace_s,
                limit_s=STOP_LIMIT_S,
            )
        except DriverError as error:
            raise DriverError(f"{hub}: {error.message}", delay_s=2.0) from error
        finally:
            attempts.stopping = False
        self._attempts.pop(hub, None)
        self._remove_groups(hub)
        if ended:
            log.info("hub.stopped", hub=hub, processes=ended)

    async def roster(self, hub: str) -> tuple[RosterEntry, ...]:
        return await self.api.users(self._must_file(hub).address)

    async def logs(self, hub: str, user: str, *, tail: int, follow: bool) -> AsyncIterator[bytes]:
        path = self._log_of(hub, user)
        if follow:
            async for chunk in follow_log(path, tail, self.clock):
                yield chunk
        elif text := last_lines(path, tail):
            yield text

    async def close(self) -> None:
        await self.api.close()
        self.cgroups.remove()  # only what is empty

    def file(self, hub: str) -> HubFile | None:
        """What this hub was last told."""
        return HubFile.read(self.settings.hub_dir(hub) / NAME)

    # --- parts of start ---

    async def _written(self, order: HubOrder, known: HubFile | None, seen: Census) -> HubFile:
        """The hub's file as the order wants it, on the disk."""
        wanted = roster(order)
        isolation = await self.isolation()
        self.isolates = isolation.on
        file = HubFile(
            hub=order.hub,
            epoch=order.epoch,
            generation=order.generation,
            ports=await self._ports(order.hub, known, seen),
            secrets=known.secrets if known else HubSecrets.draw(),
            place=place(self.settings, order.hub, self.cgroups, isolated=isolation.on),
            hub_settings=hub_settings(order),
            server_settings=server_settings(order),
            roster=wanted,
            applied=known.applied if known and seen.hub_lives else wanted,
            notice=order.notice,
            groups=self._groups(order.hub, known),
        )
        if file != known:
            self._write(file)
        return file

    async def _ports(self, hub: str, known: HubFile | None, seen: Census) -> Ports:
        """The ports of last time, unless somebody else took one meanwhile."""
        if known is not None:
            ports = known.ports
            needed = [] if seen.hub_lives else [ports.hub]
            needed += [] if seen.proxy_lives else [ports.proxy, ports.proxy_api]
            if await self._become_free(needed):
                return ports
            log.warning("hub.ports_taken", hub=hub, ports=ports.model_dump())
            await self._stop_role(hub, PROXY)
            await self._stop_role(hub, HUB)
        proxy, proxy_api, own = free_ports(3, taken=self._ports_of_others(hub))
        return Ports(proxy=proxy, proxy_api=proxy_api, hub=own)

    async def _become_free(self, ports: Iterable[int]) -> bool:
        """Students' servers know the ports, so a port that is still being given back is waited for."""
        deadline_mono = self.clock.mono() + PORTS_S
        while not all(can_bind(port) for port in ports):
            if self.clock.mono() > deadline_mono:
                return False
            await self.clock.sleep(0.1)
        return True

    def _ports_of_others(self, hub: str) -> frozenset[int]:
        taken: set[int] = set()
        for path in (self.settings.state_dir / "hubs").glob(f"*/{NAME}"):
            other = HubFile.read(path) if path.parent.name != hub else None
            if other is not None:
                taken.update(other.ports.model_dump().values())
        return frozenset(taken)

    def _check_attempts(self, hub: str, attempts: Attempts) -> None:
        """A hub that keeps dying before it served rests between attempts; its own last words are the message."""
        now_mono = self.clock.mono()
        if attempts.started_mono:  # it was started, did not serve since, and is dead
            attempts.started_mono = 0.0
            attempts.early_deaths += 1
            attempts.rest_until_mono = now_mono + REST_S if attempts.early_deaths >= MOST_EARLY_DEATHS else 0.0
        if now_mono < attempts.rest_until_mono:
            raise DriverError(f"{hub}: the hub ends soon after each start: {self._last_words(hub)}", delay_s=REST_S)

    async def _tell(self, file: HubFile, attempts: Attempts) -> None:
        """What a running hub has to hear: a changed roster, and that its proxy is new."""
        if attempts.resync or file.applied != file.roster:
            if not await self.api.healthy(file.address):
                return
            if attempts.resync:
                await self.api.sync_proxy(file.address)
                attempts.resync = False
            await self._apply_roster(file)

    async def _apply_roster(self, file: HubFile) -> None:
        before, wanted = file.applied, file.roster
        if before == wanted:
            return
        for name in sorted(before.names - wanted.names):
            await self.api.remove_user(file.address, name)
        await self.api.add_users(file.address, wanted.names - before.names)
        for name in sorted(set(wanted.admins) ^ set(before.admins)):
            if name in wanted.names:
                await self.api.set_admin(file.address, name, name in wanted.admins)
        self._write(file.revise(applied=wanted))
        log.info("hub.roster_applied", hub=file.hub, users=len(wanted.names))

    # --- looking ---

    async def _look(self, hub: str) -> Census:
        return await look(self.settings, self.processes, self.cgroups, hub)

    async def _phase(self, file: HubFile, seen: Census) -> tuple[Phase, str]:
        attempts = self._attempts.get(file.hub, Attempts())
        if attempts.stopping:
            return Phase.STOPPING, f"{len(seen.found)} processes left"
        if not seen.hub_lives and attempts.early_deaths >= MOST_EARLY_DEATHS:
            return Phase.FAILED, f"the hub ends soon after each start: {self._last_words(file.hub)}"
        gone = [role for role, lives in ((HUB, seen.hub_lives), (PROXY, seen.proxy_lives)) if not lives]
        if gone:
            return Phase.STARTING, f"the {' and the '.join(gone)} died; {len(seen.servers)} servers live on"
        if attempts.resync or not await self.api.healthy(file.address, has_served=not attempts.started_mono):
            return Phase.STARTING, "the hub does not answer through its proxy yet"
        attempts.started_mono, attempts.early_deaths = 0.0, 0
        return Phase.SERVING, ""

    async def _stop_role(self, hub: str, role: str) -> None:
        """One part of the hub, without what it started: students' servers live on."""
        marks = self.settings.marks(HUB=hub, ROLE=role)
        await self.processes.stop(marks, descendants=False, grace_s=STOP_GRACE_S, limit_s=STOP_LIMIT_S)

    # --- files ---

    def _groups(self, hub: str, known: HubFile | None) -> tuple[str, ...]:
        """Every control group that may exist for it; those of an earlier agent may lie elsewhere."""
        made = {str(path) for path in self.cgroups.group(hub).every}
        return tuple(sorted(made.union(known.groups if known else ())))

    def _remove_groups(self, hub: str) -> None:
        file = self.file(hub)
        if file is not None:
            Group(None, None, None, tuple(Path(path) for path in file.groups)).remove()
        self.cgroups.remove()

    def _write(self, file: HubFile) -> None:
        folder = self.settings.hub_dir(file.hub)
        for made in (folder.parent, folder, folder / "logs"):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
            made.chmod(0o700)
        self.disk.replace(folder / NAME, encode(file))

    def _must_file(self, hub: str) -> HubFile:
        file = self.file(hub)
        if file is None:
            raise DriverError(f"{hub}: no such hub at this site", delay_s=None)
        return file

    def _log_of(self, hub: str, user: str) -> Path:
        folder = self.settings.hub_dir(hub)
        path = folder / "logs" / f"{slug(user)}.log" if user else folder / programs.HUB_LOG
        if not path.exists():
            raise DriverError(f"{hub}: no log of {user or 'the hub'} here yet", delay_s=None)
        return path

    def _last_words(self, hub: str) -> str:
        text = last_lines(self.settings.hub_dir(hub) / programs.HUB_LOG, 20).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it wrote nothing to its log"


def _newest(logs: Path) -> int:
    """When a student's server last wrote to its log (ns): each does when it starts and when it ends."""
    try:
        return max((e.stat().st_mtime_ns for e in os.scandir(logs) if e.name != f"{TESTER}.log"), default=0)
    except OSError:
        return 0  # no server was ever started


def _bare(seen: Census) -> Phase:
    return Phase.STOPPING if seen.found else Phase.STOPPED


def _check_sign_in(order: HubOrder) -> None:
    kind = order.classroom.spec.auth.type.value
    if kind != "dummy" and importlib.util.find_spec("oauthenticator") is None:
        raise DriverError(
            f"{order.hub}: sign-in with {kind} needs the Python package oauthenticator, which this site lacks",
            delay_s=None,
            help="Install oauthenticator in the agent's environment, or use auth.type: dummy.",
        )
    if not order.secrets.get("auth"):
        raise DriverError(f"{order.hub}: the secret for sign-in is empty", delay_s=None)
