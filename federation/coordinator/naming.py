"""Names: only the leader writes them, with the hub's epoch, and believes only what is seen from outside (DESIGN.md 4.6)."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from federation.coordinator.observations import NameSeen, Observations
from federation.coordinator.snapshot import Snapshot
from federation.dns.interface import NameDriver, NameRecord
from federation.model.classroom import Classroom
from federation.model.errors import Conflict, DeadlineExceeded, FederationError, RegisterFault, Unavailable
from federation.model.identity import Epoch
from federation.model.placing import ClassroomRecord, HostClaim
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.register import Register

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Naming:
    """Brings names to what the register says; idempotent, so that it repairs drift as well."""

    register: Register
    driver: NameDriver
    snapshot: Snapshot
    observations: Observations
    clock: Clock

    async def converge(self, hub: str) -> NameSeen:
        """Let the hub's names lead to its owner's edge; remembers and returns what the outside sees. A name that leads
        there is right also while the name service takes no change."""
        unwritable = await self._write(hub)
        seen = await self._look(hub, unwritable)
        self.observations.names[hub] = seen
        return seen

    async def remove(self, hub: str) -> str:
        """Remove the hub's names unless another hub has taken them; returns the problem, empty if they are gone."""
        self.observations.names.pop(hub, None)
        stored = self.snapshot.classroom_of(hub)
        if stored is None:
            return ""
        try:
            for host in (*hosts_of(stored.document.classroom), *former_hosts(stored.document)):
                await self._remove_one(hub, host)
        except FederationError as error:
            return error.message
        return ""

    async def unwritable(self, hub: str) -> str:
        """Why the hub's names could not be changed now; empty: what is there was written again as it is. Not tried where
        a write has no prerequisite: there it could undo a newer one."""
        wanted = self.snapshot.in_force(hub)
        if wanted is None or not self.driver.capabilities.prerequisite:
            return ""
        try:
            for host in hosts_of(wanted.classroom):
                found = await self.driver.read(host)
                if found is not None and found.hub == hub:
                    await self.driver.write(found, found)
        except Conflict:
            return ""  # somebody could, just now
        except FederationError as error:
            return error.message
        return ""

    async def _write(self, hub: str) -> str:
        """Returns what could not be written and why; one name of a hub does not wait for another."""
        ownership, wanted = self.snapshot.ownership(hub), self.snapshot.in_force(hub)
        if ownership is None or ownership.document.owner is None or wanted is None:
            return "nobody owns the hub"
        target = self._edge_of(ownership.document.owner)
        if not target:
            return f"{ownership.document.owner} has not reported the address of its edge"
        dns, epoch = wanted.classroom.spec.dns, ownership.document.epoch
        ttl_s = min(dns.ttl, self.driver.capabilities.most_ttl_s)
        problems = []
        for host in hosts_of(wanted.classroom):
            try:
                await self._write_one(NameRecord(host=host, hub=hub, epoch=epoch, target=target, ttl_s=ttl_s))
            except FederationError as error:
                problems.append(error.message)
                if isinstance(error, Unavailable | DeadlineExceeded):
                    return "; ".join(problems)  # the next one would wait for nothing, too
        try:
            await self._remove_former(hub)
        except FederationError as error:
            problems.append(error.message)
        return "; ".join(problems)

    def _edge_of(self, site: str) -> str:
        stored = self.snapshot.site(site)
        return stored.document.edge_address if stored is not None else ""

    async def _remove_former(self, hub: str) -> None:
        """Names that an earlier generation had and the one in force has not."""
        stored, wanted = self.snapshot.classroom_of(hub), self.snapshot.in_force(hub)
        if stored is not None and wanted is not None and wanted.number == stored.document.generation:
            for host in former_hosts(stored.document):
                await self._remove_one(hub, host)

    async def _remove_one(self, hub: str, host: str) -> None:
        """Only if it is this hub's, and not of an epoch that is not known here: somebody else may have the name by now,
        or the class came back while this coordinator stood still."""
        record, ownership = await self.driver.read(host), self.snapshot.ownership(hub)
        if record is None or record.hub != hub or ownership is None:
            return
        _refuse_newer(record, ownership.document.epoch)
        await self.driver.remove(host, record)
        log.info("name.removed", host=host, hub=hub, said=_shown(record))

    async def _write_one(self, wanted: NameRecord) -> None:
        found = await self.driver.read(wanted.host)
        if found is not None and found.hub == wanted.hub:
            _refuse_newer(found, wanted.epoch)
        if found is not None and found.hub != wanted.hub:
            await self._require_claim(wanted, found)
        if found != wanted or found.ttl_s != wanted.ttl_s:
            await self.driver.write(wanted, found)
            said, instead_of = _shown(wanted), _shown(found)
            log.info("name.written", host=wanted.host, hub=wanted.hub, said=said, instead_of=instead_of)

    async def _require_claim(self, wanted: NameRecord, found: NameRecord) -> None:
        """Epochs of two hubs say nothing of each other. So who takes a name from another hub asks the register itself,
        after it has read the name: a leader that was frozen before that, while the host name went to another class,
        would overwrite the name of that one, and the name server could not tell."""
        claim = await self.register.read(keys.host(wanted.host), HostClaim)
        if claim is None or claim.document.hub != wanted.hub:
            owner = claim.document.hub if claim is not None else "no class"
            raise Conflict(f"{wanted.host} belongs to {owner} by now and leads to {_shown(found)}: nothing was written")

    async def _look(self, hub: str, unwritable: str) -> NameSeen:
        ownership, wanted = self.snapshot.ownership(hub), self.snapshot.in_force(hub)
        now_mono = self.clock.mono()
        if ownership is None or ownership.document.owner is None or wanted is None:
            known = ownership.document.epoch if ownership is not None else None
            return NameSeen(False, unwritable or "nobody owns the hub", now_mono, epoch=known)
        target, epoch = self._edge_of(ownership.document.owner), ownership.document.epoch
        problem, looked = "", True
        try:
            for host in hosts_of(wanted.classroom):
                seen = await self.driver.seen_from_outside(host)
                if seen is None or (seen.hub, seen.epoch, seen.target) != (hub, epoch, target):
                    problem = f"{host} is seen as {_shown(seen)} from outside"
                    break
        except FederationError as error:
            problem, looked = error.message, isinstance(error, Conflict)
        if problem:
            problem = "; ".join(filter(None, (unwritable, problem)))
            return NameSeen(leads_here=False, problem=problem, at_mono=now_mono, looked=looked, epoch=epoch)
        by = self.driver.capabilities.seen_by
        sight = f"{', '.join(hosts_of(wanted.classroom))} -> {target} at epoch {epoch}" + (
            f", seen by {by}" if by else ""
        )
        return NameSeen(True, "", now_mono, sight=sight, unwritable=unwritable, epoch=epoch)


def hosts_of(classroom: Classroom) -> tuple[str, ...]:
    """The class's host name and its aliases."""
    return (classroom.spec.dns.host, *classroom.spec.dns.aliases)


def former_hosts(record: ClassroomRecord) -> tuple[str, ...]:
    """Host names of the former generation that the newest does not have."""
    if record.former is None:
        return ()
    now = hosts_of(record.classroom)
    return tuple(host for host in hosts_of(record.former.classroom) if host not in now)


def _refuse_newer(found: NameRecord, epoch: Epoch) -> None:
    """RegisterFault if the name service knows a newer epoch of the hub than the register: that was restored from an old
    copy (PROTOCOL.md H6), or another coordinator leads by now. Either way there is nothing to write."""
    if found.epoch > epoch:
        problem = f"{found.host} is at epoch {found.epoch}, above the register's {epoch}: nothing is written"
        log.error("register.fault", problem=problem)
        raise RegisterFault(f"{problem}; is the register an older one?")


def _shown(seen: NameRecord | None) -> str:
    return f"{seen.target} at epoch {seen.epoch}" if seen is not None else "nothing"
