"""Names: only the leader writes them, with the hub's epoch, and believes only what is seen from outside (DESIGN.md 4.6)."""

from __future__ import annotations

from dataclasses import dataclass

from federation.coordinator.observations import NameSeen, Observations
from federation.coordinator.snapshot import Snapshot
from federation.dns.interface import NameDriver, NameRecord
from federation.model.classroom import Classroom
from federation.model.errors import Conflict, FederationError
from federation.model.identity import Epoch
from federation.model.placing import ClassroomRecord
from federation.runtime.clock import Clock


@dataclass(slots=True)
class Naming:
    """Brings names to what the register says; idempotent, so that it repairs drift as well."""

    driver: NameDriver
    snapshot: Snapshot
    observations: Observations
    clock: Clock

    async def converge(self, hub: str) -> NameSeen:
        """Let the hub's names lead to its owner's edge; remembers and returns what the outside sees."""
        problem = await self._write(hub)
        if not problem:
            problem = await self._look(hub)
        seen = NameSeen(leads_here=not problem, problem=problem, at_mono=self.clock.mono())
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
        ownership, wanted = self.snapshot.ownership(hub), self.snapshot.in_force(hub)
        if ownership is None or ownership.document.owner is None or wanted is None:
            return "nobody owns the hub"
        site = self.snapshot.site(ownership.document.owner)
        if site is None or not site.document.edge_address:
            return f"{ownership.document.owner} has not reported the address of its edge"
        epoch, target = ownership.document.epoch, site.document.edge_address
        try:
            for host in hosts_of(wanted.classroom):
                await self._write_one(NameRecord(host=host, hub=hub, epoch=epoch, target=target))
            await self._remove_former(hub)
        except FederationError as error:
            return error.message
        return ""

    async def _remove_former(self, hub: str) -> None:
        """Names that an earlier generation had and the one in force has not."""
        stored, wanted = self.snapshot.classroom_of(hub), self.snapshot.in_force(hub)
        if stored is not None and wanted is not None and wanted.number == stored.document.generation:
            for host in former_hosts(stored.document):
                await self._remove_one(hub, host)

    async def _remove_one(self, hub: str, host: str) -> None:
        """Only if it is this hub's: somebody else may have the name by now."""
        record = await self.driver.read(host)
        if record is not None and record.hub == hub:
            await self.driver.remove(host, record)

    async def _write_one(self, wanted: NameRecord) -> None:
        found = await self.driver.read(wanted.host)
        if found != wanted:
            await self.driver.write(wanted, found)

    async def _look(self, hub: str) -> str:
        ownership, wanted = self.snapshot.ownership(hub), self.snapshot.in_force(hub)
        if ownership is None or wanted is None:
            return "nobody owns the hub"
        try:
            for host in hosts_of(wanted.classroom):
                seen = await self.driver.seen_from_outside(host)
                if seen is None or not _leads_to(seen, hub, ownership.document.epoch):
                    return f"{host} is seen as {seen.target if seen else 'nothing'} from outside"
        except FederationError as error:
            return error.message
        return ""


def hosts_of(classroom: Classroom) -> tuple[str, ...]:
    """The class's host name and its aliases."""
    return (classroom.spec.dns.host, *classroom.spec.dns.aliases)


def former_hosts(record: ClassroomRecord) -> tuple[str, ...]:
    """Host names of the former generation that the newest does not have."""
    if record.former is None:
        return ()
    now = hosts_of(record.classroom)
    return tuple(host for host in hosts_of(record.former.classroom) if host not in now)


def _leads_to(seen: NameRecord, hub: str, epoch: Epoch) -> bool:
    return seen.hub == hub and seen.epoch == epoch
