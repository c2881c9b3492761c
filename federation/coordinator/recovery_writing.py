"""Writes what a recovery has decided: each hub in one transaction at the first epoch of the new era, then each site.

All of it is repeatable: the reports are closed by then, and what is written already is written again as it is.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from federation.api.v1 import agent_pb2
from federation.coordinator.naming import hosts_of
from federation.coordinator.recovery_sight import Sight
from federation.coordinator.wanted import HOMES, auth_secret
from federation.core.recovered_homes import Ordered, restore_due
from federation.core.recovery import Fate, HubFacts, Verdict
from federation.model.classroom import Classroom, ClassroomSpec
from federation.model.errors import InvalidRequest
from federation.model.homes import CopyPoint, HomeIndex
from federation.model.identity import Epoch, Members, RegisterId, name_of
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import AgentRecord, EarlierOwner, Owned, Ownership, SiteLease
from federation.model.placing import Assignment, ClassroomRecord, HostClaim, SealedSecret
from federation.model.recovery import Holdings, HubHolding
from federation.model.status import SiteRecord
from federation.runtime.bridge import from_message
from federation.store import keys
from federation.store.register import Changes

GOES_ON = (OperationKind.PLACE, OperationKind.RETIRE)
"""Operations that begin from whatever the ownership is; moves and failovers were decided from what is gone."""


@dataclass(frozen=True, slots=True)
class Writing:
    """The documents of the new era. `now` dates them; `actor` recovered."""

    sight: Sight
    era: RegisterId
    now: datetime
    actor: str

    @property
    def epoch(self) -> Epoch:
        """Above every epoch of every earlier era, without knowing them (H6.4)."""
        return Epoch(era=self.era.era, n=1)

    def hub(self, facts: HubFacts, verdict: Verdict) -> Changes:
        """One hub: who owns it, what others must close, and nothing of what was decided from a register that is gone."""
        changes, hub, owner = Changes(), facts.hub, verdict.owner
        restore = self._restore(facts, owner)
        changes.put(keys.ownership(hub), self._ownership(facts, verdict, restore))
        for site in self._sites(facts):
            changes.delete(keys.mode(site, hub))
            if site != owner:
                changes.delete(keys.owned(site, hub))
            if site not in verdict.closing:
                changes.delete(keys.closing(site, hub))
        for site in verdict.closing:
            changes.put(keys.closing(site, hub), Owned(hub=hub, epoch=self.epoch))
        if owner is not None:
            changes.put(keys.owned(owner, hub), Owned(hub=hub, epoch=self.epoch))
        known, directive = self.sight.classroom_of(hub, name_of(hub)), known_by(facts.claims.get(owner or ""))
        operation = self.sight.operation(hub)
        if directive is not None and (known is None or known.generation < directive.generation):
            self._make_known(changes, facts.claims[owner or ""], owner or "", known)
            return changes
        if operation is not None and not operation.done and operation.kind not in GOES_ON:
            ended = operation.finished(Step.DONE, self.now, "ended by the recovery of the register")
            changes.put(keys.operation(hub), ended)
        self._assign(changes, verdict, known)
        return changes

    def site(self, report: Holdings) -> Changes:
        """What speaks for a site, and what it is where the register does not know it."""
        known = self.sight.agent(report.site)
        last = known.incarnation if known is not None and known.uid == report.uid else 0
        record = AgentRecord(
            site=report.site,
            uid=report.uid,
            incarnation=max(last, report.incarnation),
            machine_id=report.machine_id,
            sealing_key=report.sealing_key,
            version=report.version,
        )
        changes = Changes().put(keys.agent(report.site), record)
        if self.sight.get(keys.site(report.site), SiteRecord) is None:
            site = SiteRecord(
                name=report.site,
                uid=report.uid,
                kind=report.kind,
                cpu_millis=report.cpu_millis,
                memory_bytes=report.memory_bytes,
                edge_address=report.edge_address,
                version=report.version,
            )
            changes.put(keys.site(report.site), site)
        # Nothing is granted by this. A site that dies before its first renewal is silent since this was seen, and whoever
        # vouches for its end can take its classes away.
        ack = self._acknowledged(report)
        lease = SiteLease(site=report.site, incarnation=record.incarnation, seq=0, heard=0, members_ack=ack)
        return changes.put(keys.lease(report.site), lease).delete(keys.contact(report.site))

    def members(self) -> Members:
        """A new version. Who was a member in what is left of this register was acknowledged as that; everybody else is new,
        and takes nothing over before its owner has acknowledged it (H5)."""
        newest, left = self.sight.members, self.sight.get(keys.MEMBERS, Members)
        recovery, version = self.sight.recovery, newest.version + 1
        ours = left is not None and recovery is not None and not recovery.document.replaced
        since = {(m.site, m.uid): m.since for m in left.document.members} if left is not None and ours else {}
        members = tuple(m.revise(since=since.get((m.site, m.uid), version)) for m in newest.members)
        return Members(version=version, members=members)

    def _acknowledged(self, report: Holdings) -> int:
        """The member list that a site knows: the new one, if it has all of its members on disk (H5)."""
        members, known = self.members(), {(m.site, m.uid) for m in report.members}
        whole = all((m.site, m.uid) in known for m in members.members)
        return members.version if whole else report.members_version

    def _sites(self, facts: HubFacts) -> set[str]:
        return {m.site for m in self.sight.members.members} | facts.claims.keys()

    def _ownership(self, facts: HubFacts, verdict: Verdict, restore: CopyPoint | None) -> Ownership:
        record, owner = facts.record, verdict.owner
        earlier = tuple(
            EarlierOwner(site=site, epoch=facts.claims[site].highest or self.epoch)
            for site in verdict.closing
            if site in facts.claims
        )
        return Ownership(
            hub=facts.hub,
            owner=owner,
            epoch=self.epoch,
            earlier=earlier,
            tombstone=verdict.fate is Fate.CLOSED,
            homes_at=owner if owner is not None and restore is None else record.homes_at if record else None,
            restore=restore,
            restore_since=self.epoch if restore is not None else None,
            home=record.home if record is not None else None,
            taken_over=record.taken_over if record is not None else None,
        )

    def _restore(self, facts: HubFacts, owner: str | None) -> CopyPoint | None:
        """A takeover that had not restored yet: its site's newest directive may know, for a backup may be older."""
        claim, index = facts.claims.get(owner or ""), self.sight.get(keys.home(facts.hub), HomeIndex)
        return restore_due(facts, owner, index.document if index is not None else None, _ordered(claim))

    def _assign(self, changes: Changes, verdict: Verdict, known: ClassroomRecord | None) -> None:
        """Where a class is said to run is where it is."""
        key, owner = keys.assignment(verdict.hub), verdict.owner
        stored = self.sight.get(key, Assignment)
        before = stored.document.site if stored is not None else None
        if owner is None:
            changes.delete(key)
        elif known is not None and before != owner:
            reason = f"recovered: {verdict.reason}"
            changes.put(
                key, Assignment(hub=verdict.hub, site=owner, standby=before, reason=reason, generation=known.generation)
            )

    def _make_known(self, changes: Changes, claim: HubHolding, owner: str, known: ClassroomRecord | None) -> None:
        """A class, or a change of one, that the register does not know and a site holds: its newest order says what it
        is. What was acknowledged to an admin is not lost with the register (I4)."""
        if (directive := known_by(claim)) is None:
            return
        hub, labels = claim.hub, known.classroom.labels if known is not None else {}
        spec = from_message(directive.spec, ClassroomSpec)
        classroom = Classroom(name=directive.name, labels=labels, spec=spec)
        record = ClassroomRecord(
            uid=hub,
            generation=directive.generation,
            classroom=classroom,
            created=known.created if known is not None else self.now,
            changed=self.now,
            actor=self.actor,
        )
        live = self.sight.get(keys.classroom(directive.name), ClassroomRecord)
        taken = live is not None and live.document.uid != hub  # by another class: this one is known by its uid
        changes.put(keys.retired(hub) if taken else keys.classroom(directive.name), record)
        operation = Operation(
            id=f"place-{hub}-{record.generation}-recovered",
            kind=OperationKind.PLACE,
            hub=hub,
            name=directive.name,
            generation=record.generation,
            created=self.now,
            actor=self.actor,
        )
        changes.put(keys.operation(hub), operation.finished(Step.DONE, self.now, f"found at {owner}"))
        assignment = Assignment(hub=hub, site=owner, reason="recovered: it is held there", generation=record.generation)
        changes.put(keys.assignment(hub), assignment)
        for host in (host for host in hosts_of(classroom) if keys.host(host) not in self.sight.entries):
            changes.put(keys.host(host), HostClaim(hub=hub, name=directive.name))
        for kept, key, name in self._secrets(record, directive):
            sealed = {**claim.boxes.get(kept, {}), owner: b64encode(directive.sealed[kept]).decode()}
            changes.put(key, SealedSecret(name=name, sealed=sealed, changed=self.now, actor=self.actor))

    def _secrets(self, record: ClassroomRecord, directive: agent_pb2.WantedHub) -> Iterator[tuple[str, str, str]]:
        """Secrets that only sites have: the name in a directive, the register's key, and the name of the document."""
        auth = auth_secret(record)
        named = (("auth", keys.secret(auth), auth), (HOMES, keys.home_key(record.uid), record.uid))
        for kept, key, name in named:
            if kept in directive.sealed and key not in self.sight.entries:
                yield kept, key, name


def _ordered(claim: HubHolding | None) -> Ordered | None:
    """What the newest order of a site says about the homes, if it is of the epoch that the site has now."""
    if claim is None or not claim.directive:
        return None
    directive = agent_pb2.WantedHub.FromString(b64decode(claim.directive))
    at = Epoch(era=directive.epoch.era, n=directive.epoch.n)
    if at != claim.live:
        return None
    copy = directive.restore
    return Ordered(at, CopyPoint(site=copy.site, snapshot=copy.snapshot) if directive.HasField("restore") else None)


def known_by(claim: HubHolding | None) -> agent_pb2.WantedHub | None:
    """The order from which a class can be made known again; None: the site has none, or one that is not whole."""
    if claim is None or not claim.directive:
        return None
    directive = agent_pb2.WantedHub.FromString(b64decode(claim.directive))
    try:
        from_message(directive.spec, ClassroomSpec)
    except InvalidRequest:
        return None
    return directive if directive.name and directive.generation else None
