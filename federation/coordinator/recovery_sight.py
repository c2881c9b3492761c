"""What is left of a register that is not believed, read whole, and the reports of sites that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from federation.core.recovery import HubFacts
from federation.model.identity import Members, RegisterId
from federation.model.operation import Operation
from federation.model.ownership import AgentRecord, Ownership
from federation.model.placing import ClassroomRecord
from federation.model.recovery import Holdings, HubHolding, Recovery, RecoveryStep
from federation.model.schema import Document
from federation.store import keys
from federation.store.interface import Entry, Listing, Store
from federation.store.register import Stored, decode

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Sight:
    """One listing of the register and the reports that count: those of the era of the recovery that is under way; before
    one has begun, what each site said last (`heard`). What follows from them is worked out once."""

    entries: Mapping[str, Entry]
    revision: int
    heard: Mapping[str, Holdings]

    def get(self, key: str, kind: type[D]) -> Stored[D] | None:
        """One document."""
        entry = self.entries.get(key)
        return None if entry is None else decode(entry, kind)

    def under(self, prefix: str, kind: type[D]) -> list[Stored[D]]:
        """All documents below a prefix."""
        return [decode(entry, kind) for key, entry in self.entries.items() if key.startswith(prefix)]

    @cached_property
    def found(self) -> RegisterId | None:
        """The id that the register has; None: it has none."""
        stored = self.get(keys.REGISTER_ID, RegisterId)
        return stored.document if stored else None

    @cached_property
    def recovery(self) -> Stored[Recovery] | None:
        """The recovery that is under way, or the last one; one that an older backup brought back is none."""
        stored = self.get(keys.RECOVERY, Recovery)
        return stored if stored is not None and stored.document.register_id == self.found else None

    @cached_property
    def under_way(self) -> Stored[Recovery] | None:
        """The recovery that is to be gone on with."""
        stored = self.recovery
        return None if stored is None or stored.document.step is RecoveryStep.DONE else stored

    @cached_property
    def reports(self) -> dict[str, Holdings]:
        """Reports that count, by site: those of members. One of a site that was replaced since says nothing."""
        uids = {member.site: member.uid for member in self.members.members}
        return {site: report for site, report in self._said.items() if uids.get(site) == report.uid}

    @cached_property
    def _said(self) -> dict[str, Holdings]:
        if self.under_way is None:
            return dict(self.heard)
        era = self.under_way.document.register_id
        stored = (s.document for s in self.under(keys.HOLDINGS, Holdings))
        return {report.site: report for report in stored if report.register_id == era}

    @cached_property
    def members(self) -> Members:
        """The newest member list that anybody knows; without `since`, which journals do not have."""
        stored = self.get(keys.MEMBERS, Members)
        best = stored.document if stored is not None else Members()
        for report in self._said.values():
            if report.members_version > best.version:
                best = Members(version=report.members_version, members=report.members)
        return best

    @cached_property
    def silent(self) -> set[str]:
        """Members that have not reported; a site that was replaced since is silent until its successor reports."""
        return {member.site for member in self.members.members} - self.reports.keys()

    def facts(self) -> list[HubFacts]:
        """All that is known of each hub that the register or a site knows of."""
        recovery, claims = self.under_way, dict[str, dict[str, HubHolding]]()
        for site, report in self.reports.items():
            for holding in report.hubs:
                claims.setdefault(holding.hub, {})[site] = holding
        records = {stored.document.hub: stored.document for stored in self.under(keys.HUBS, Ownership)}
        words = recovery.document.owners if recovery else {}
        return [
            HubFacts(hub, records.get(hub), claims.get(hub, {}), frozenset(self.silent), words.get(hub, ""))
            for hub in sorted(records.keys() | claims.keys())
        ]

    def classroom_of(self, hub: str, name: str) -> ClassroomRecord | None:
        """The hub's classroom, if the register knows it."""
        live = self.get(keys.classroom(name), ClassroomRecord)
        if live is not None and live.document.uid == hub:
            return live.document
        kept = self.get(keys.retired(hub), ClassroomRecord)
        return kept.document if kept else None

    def operation(self, hub: str) -> Operation | None:
        """The hub's newest operation."""
        stored = self.get(keys.operation(hub), Operation)
        return stored.document if stored else None

    def agent(self, site: str) -> AgentRecord | None:
        """The incarnation that speaks for the site."""
        stored = self.get(keys.agent(site), AgentRecord)
        return stored.document if stored else None


async def look(store: Store, heard: Mapping[str, Holdings]) -> Sight:
    """Read everything at one revision."""
    listing: Listing = await store.list("")
    return Sight({entry.key: entry for entry in listing.entries}, listing.revision, heard)
