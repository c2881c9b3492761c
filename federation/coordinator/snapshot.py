"""Typed view of the mirror: what every loop reads at the start of a cycle.

Documents are decoded once per revision. The snapshot may be behind the register; that is why every write that follows
from it is guarded by the revisions that were read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import structlog

from federation.core.in_force import generation_in_force
from federation.model.effects import not_yet_in_effect
from federation.model.errors import RegisterFault
from federation.model.homes import HomeIndex
from federation.model.identity import Members, name_of
from federation.model.operation import Operation
from federation.model.ownership import AgentRecord, Owned, Ownership, SiteLease, WantedMode
from federation.model.placing import Assignment, ClassroomRecord, Generation, SealedSecret, UserRecord
from federation.model.schema import Document
from federation.model.status import HubObservation, Roster, SiteRecord
from federation.store import keys
from federation.store.interface import Entry
from federation.store.mirror import Mirror
from federation.store.register import Stored, decode

D = TypeVar("D", bound=Document)
log = structlog.get_logger(__name__)


class Snapshot:
    """Reads documents from the mirror, typed."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self._decoded: dict[str, Stored[Document]] = {}
        self._later: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._unreadable: dict[str, int] = {}  # key -> revision that was complained about

    def get(self, key: str, kind: type[D]) -> Stored[D] | None:
        """One document, or None."""
        entry = self.mirror.get(key)
        if entry is None:
            self._decoded.pop(key, None)
            return None
        return self._decode(entry, kind)

    def under(self, prefix: str, kind: type[D]) -> Iterator[Stored[D]]:
        """All documents below a prefix."""
        for entry in self.mirror.entries(prefix):
            try:
                yield self._decode(entry, kind)
            except RegisterFault as error:  # e.g. of a newer schema: it must not hide all the others
                if self._unreadable.get(entry.key) != entry.revision:
                    self._unreadable[entry.key] = entry.revision
                    log.warning("document.unreadable", key=entry.key, error=error.message)

    def classroom(self, name: str) -> Stored[ClassroomRecord] | None:
        """The live or last retired classroom of this name."""
        return self.get(keys.classroom(name), ClassroomRecord)

    def classroom_of(self, hub: str) -> Stored[ClassroomRecord] | None:
        """The classroom of a hub uid, also when its name was taken by a later one."""
        record = self.classroom(name_of(hub))
        if record is not None and record.document.uid == hub:
            return record
        return self.get(keys.retired(hub), ClassroomRecord)

    def find(self, name: str) -> Stored[ClassroomRecord] | None:
        """A classroom by its name, or by a uid: that of one whose name was taken by a later one, too."""
        return self.classroom(name) or self.classroom_of(name)

    def not_yet_in_effect(self, record: ClassroomRecord) -> tuple[str, ...]:
        """Fields of the newest generation that do nothing yet; worked out once per generation."""
        known = self._later.get(record.uid)
        if known is None or known[0] != record.generation:
            known = self._later[record.uid] = (record.generation, not_yet_in_effect(record.classroom))
        return known[1]

    def in_force(self, hub: str) -> Generation | None:
        """The generation that the hub's site is to run now."""
        record, operation = self.classroom_of(hub), self.operation(hub)
        if record is None:
            return None
        return generation_in_force(record.document, operation.document if operation else None)

    def ownership(self, hub: str) -> Stored[Ownership] | None:
        """Who owns the hub."""
        return self.get(keys.ownership(hub), Ownership)

    def operation(self, hub: str) -> Stored[Operation] | None:
        """The newest operation."""
        return self.get(keys.operation(hub), Operation)

    def assignment(self, hub: str) -> Stored[Assignment] | None:
        """Where and why."""
        return self.get(keys.assignment(hub), Assignment)

    def observation(self, hub: str) -> Stored[HubObservation] | None:
        """What was last recorded of the hub."""
        return self.get(keys.observed(hub), HubObservation)

    def roster(self, hub: str) -> Stored[Roster] | None:
        """Users that the hub knows."""
        return self.get(keys.roster(hub), Roster)

    def site(self, name: str) -> Stored[SiteRecord] | None:
        """One site."""
        return self.get(keys.site(name), SiteRecord)

    def sites(self) -> tuple[SiteRecord, ...]:
        """All sites that joined."""
        return tuple(s.document for s in self.under(keys.SITES, SiteRecord))

    def members(self) -> Members:
        """The member list; empty if nobody joined."""
        stored = self.get(keys.MEMBERS, Members)
        return stored.document if stored else Members()

    def agent(self, site: str) -> AgentRecord | None:
        """The incarnation that speaks for the site."""
        stored = self.get(keys.agent(site), AgentRecord)
        return stored.document if stored else None

    def lease(self, site: str) -> SiteLease | None:
        """The newest renewal."""
        stored = self.get(keys.lease(site), SiteLease)
        return stored.document if stored else None

    def owned(self, site: str, hub: str) -> Owned | None:
        """The site's ownership of one hub."""
        stored = self.get(keys.owned(site, hub), Owned)
        return stored.document if stored else None

    def wanted_mode(self, site: str, hub: str) -> Stored[WantedMode] | None:
        """What the leader wants the hub of this site to be; None: nothing was written yet, so it is standing."""
        return self.get(keys.mode(site, hub), WantedMode)

    def closing(self, site: str, hub: str) -> Owned | None:
        """The ended ownership that the site has not confirmed, with the epoch that ended it."""
        stored = self.get(keys.closing(site, hub), Owned)
        return stored.document if stored else None

    def hubs_of(self, site: str) -> set[str]:
        """Every hub that concerns the site: owned there, or not yet confirmed as closed there."""
        prefixes = (keys.owned_by(site), keys.closing_at(site))
        return {keys.tail(entry.key) for prefix in prefixes for entry in self.mirror.entries(prefix)}

    def roles_of(self, user: str) -> tuple[str, ...]:
        """What a person may do; nothing if nobody gave them a role."""
        stored = self.get(keys.user(user), UserRecord)
        return stored.document.roles if stored else ()

    def home(self, hub: str) -> Stored[HomeIndex] | None:
        """The copy of its homes that a takeover restores; None: there is none."""
        return self.get(keys.home(hub), HomeIndex)

    def home_key(self, hub: str) -> SealedSecret | None:
        """The password of the hub's copies, sealed."""
        stored = self.get(keys.home_key(hub), SealedSecret)
        return stored.document if stored else None

    def secret(self, name: str) -> SealedSecret | None:
        """Ciphertext of a secret."""
        stored = self.get(keys.secret(name), SealedSecret)
        return stored.document if stored else None

    def _decode(self, entry: Entry, kind: type[D]) -> Stored[D]:
        known = self._decoded.get(entry.key)
        if known is not None and known.revision == entry.revision and isinstance(known.document, kind):
            return known  # type: ignore[return-value]
        stored = decode(entry, kind)
        self._decoded[entry.key] = stored  # type: ignore[assignment]
        return stored
