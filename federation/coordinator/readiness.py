"""Gathers what `core.readiness` judges: the leader's own looks, the register, and one question to the standby.

Only the leader has reports and counts leases, so other replicas pass the question on. What concerns sites only
(`of_sites`) any replica can say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypedDict

from federation.api.v1 import control_pb2
from federation.coordinator.copying import CopiesLoop
from federation.coordinator.facts import Planner, need_of
from federation.coordinator.naming import Naming
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import Standing
from federation.coordinator.takeovers import Takeovers
from federation.coordinator.wanted import auth_secret
from federation.core.calendar import urgency
from federation.core.drilling import summary
from federation.core.failsafe import unreachable
from federation.core.placement import Need, SiteFacts, no_room, room
from federation.core.readiness import Facts, Item, SiteSide, Standby, State, judge, ready
from federation.core.spare import Claim, Plan, plan
from federation.core.takeover import Target, target_objection
from federation.model.drill import Drills, Outcome
from federation.model.errors import FederationError, NotFound
from federation.model.ownership import Ownership, Pause
from federation.model.placing import ClassroomRecord
from federation.model.status import ConditionType
from federation.runtime.clock import Clock
from federation.store import keys

NO_SITE = SiteSide("", "", None)
LOOKS_AT_ONCE = 2  # each has the standby read from the store of copies, and every viewer may ask


class Rehearsed(TypedDict):
    """Of `core.readiness.Facts`."""

    rehearsed: str
    rehearsed_age_s: float | None
    not_passed: str


@dataclass(frozen=True, slots=True)
class Term:
    """What only a leader has."""

    copies: CopiesLoop
    takeovers: Takeovers


@dataclass(slots=True)
class Readiness:
    """`term` is set while this replica leads."""

    snapshot: Snapshot
    planner: Planner
    standing: Standing
    naming: Naming
    clock: Clock
    witness: bool
    term: Term | None = None
    _looks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOOKS_AT_ONCE))

    async def answer(self, request: control_pb2.ReadinessRequest) -> control_pb2.ReadinessResponse:
        """For one class, or for all sites if it names none. NotFound if there is no such class."""
        if not request.name:
            items = self.of_sites()
            return control_pb2.ReadinessResponse(
                ready=ready(items), items=map(_message, items), freshness=self.standing.freshness()
            )
        leader = self.standing.other_leader()
        if leader is not None:
            return await leader.readiness(request)
        stored = self.snapshot.find(request.name)
        if stored is None:
            raise NotFound(f"no classroom is named {request.name}")
        facts = await self._facts(stored.document)
        items = judge(facts)
        return control_pb2.ReadinessResponse(
            site=facts.owner.name if facts.owner is not None else "",
            standby=facts.standby.side.name if facts.standby is not None else "",
            ready=ready(items),
            items=map(_message, items),
            freshness=self.standing.freshness(),
        )

    def of_sites(self) -> tuple[Item, ...]:
        """Whether the armed classes of each site would find room elsewhere, all at once."""
        plans = [self._plan(site.name) for site in self.snapshot.sites()]
        return tuple(
            Item(State.NOTE if plan.waits else State.OK, f"room without {plan.site}", plan.sentence) for plan in plans
        )

    async def _facts(self, record: ClassroomRecord) -> Facts:
        hub, observed = record.uid, self.snapshot.observation(record.uid)
        stored = self.snapshot.ownership(hub)
        ownership = stored.document if stored is not None and stored.document.owner is not None else None
        owner = ownership.owner or "" if ownership is not None else ""
        targets = self._targets(ownership) if ownership is not None else ()
        allowed = [t for t in targets if t.site in self._allowed(record, targets)]
        pause, index = self.snapshot.get(keys.PAUSE, Pause), self.snapshot.home(hub)
        standby = await self._standby(record, ownership, allowed[0]) if ownership is not None and allowed else None
        refused = "; ".join(f"{t.site}: {t.objection}" for t in targets)
        mute = unreachable(self.snapshot.members().members)
        return Facts(
            name=record.classroom.name,
            owner=self._side(owner) if ownership is not None else None,
            conditions=observed.document.conditions if observed is not None and ownership is not None else (),
            standby=standby,
            refused=refused or "no other site has joined, or `placement.standby` is none",
            plan=self._plan(owner, also=hub),
            witness=self.witness,
            paused=f"paused: {pause.document.reason}" if pause is not None else "",
            no_failsafe=f"{mute}: an outage of all coordinators closes the class" if mute else "",
            unwritable=await self.naming.unwritable(hub) if ownership is not None else "",
            copy_age_s=(self.clock.now() - index.document.taken).total_seconds() if index is not None else None,
            **self._rehearsed(hub),
        )

    def _rehearsed(self, hub: str) -> Rehearsed:
        """The newest drill that passed; and the newest that began, if that one did not."""
        stored = self.snapshot.get(keys.drill(hub), Drills)
        begun = [drill for drill in stored.document.history if drill.began is not None] if stored is not None else []
        passed = next((drill for drill in reversed(begun) if drill.outcome is Outcome.PASSED), None)
        said = Rehearsed(rehearsed="", rehearsed_age_s=None, not_passed="")
        if begun and begun[-1].outcome is not Outcome.PASSED:
            said["not_passed"] = f"the last rehearsal has {begun[-1].outcome}: {begun[-1].reason}"
        if passed is not None and passed.ended is not None:
            said["rehearsed"] = summary(passed)
            said["rehearsed_age_s"] = (self.clock.now() - passed.ended).total_seconds()
        return said

    def _targets(self, ownership: Ownership) -> tuple[Target, ...]:
        """As a takeover would choose: the first that nothing speaks against, else the one that is wanted most."""
        targets = self.planner.standbys(ownership.hub, ownership.owner or "")
        judged = [replace(t, objection=t.objection or self._unknown(t.site, ownership)) for t in targets]
        return tuple(sorted(judged, key=lambda target: bool(target.objection)))

    def _allowed(self, record: ClassroomRecord, targets: Iterable[Target]) -> set[str]:
        """Those of the targets that the class's file names; all if it names none."""
        generation = self.snapshot.in_force(record.uid)
        allow = (generation.classroom if generation is not None else record.classroom).spec.placement.allow
        return {target.site for target in targets if not allow or target.site in allow}

    def _unknown(self, site: str, ownership: Ownership, *, patient: bool = False) -> str:
        """What a takeover would say against the site, whatever the class; `patient`: silence does not count."""
        world = self.term.takeovers.seen_world() if self.term is not None else None
        sight = world.sites.get(ownership.owner or "") if world is not None else None
        if world is None or sight is None:
            return "the leader has just been elected and counts leases anew; ask again in a few seconds"
        world = replace(world, fresh_s=float("inf")) if patient else world
        return target_objection(site, ownership, sight, world)

    async def _standby(self, record: ClassroomRecord, ownership: Ownership, target: Target) -> Standby:
        hub, name = record.uid, target.site
        unknown = self._unknown(name, ownership, patient=True)
        facts = next(facts for facts in self.planner.sites() if facts.name == name)
        need = self._need(record)
        return Standby(
            side=self._side(name),
            silent="" if unknown else self._unknown(name, ownership),
            unknown=unknown,
            room=room(facts, need),
            no_room=no_room(facts, need) or "",
            unsealed=self._unsealed(record, name),
            copies=await self._look(hub, name),
        )

    def _unsealed(self, record: ClassroomRecord, site: str) -> tuple[str, ...]:
        generation = self.snapshot.in_force(record.uid)
        secret, key = self.snapshot.secret(auth_secret(record, generation)), self.snapshot.home_key(record.uid)
        lasting = generation is None or generation.classroom.spec.storage.protection is not None
        closed = []
        if secret is not None and site not in secret.sealed:
            closed.append("the secret for sign-in")
        if lasting and (key is None or site not in key.sealed):
            closed.append("the copies of the homes")
        return tuple(closed)

    async def _look(self, hub: str, site: str) -> str | None:
        """The same look as before a takeover."""
        generation = self.snapshot.in_force(hub)
        if self.term is None or (generation is not None and generation.classroom.spec.storage.protection is None):
            return None
        try:
            async with self._looks:
                return await self.term.copies.look(hub, site)
        except FederationError as error:
            return error.message

    def _side(self, name: str) -> SiteSide:
        stored = self.snapshot.site(name)
        if stored is None:
            return replace(NO_SITE, name=name)
        fenced = next((c for c in stored.document.conditions if c.type is ConditionType.FENCED), None)
        return SiteSide(name, stored.document.hub_version, fenced)

    def _need(self, record: ClassroomRecord) -> Need:
        generation = self.snapshot.in_force(record.uid)
        return need_of(generation.classroom if generation is not None else record.classroom)

    def _plan(self, site: str, also: str = "") -> Plan:
        """For all armed hubs of the site, and for the one that is asked about."""
        others: tuple[SiteFacts, ...] = self.planner.sites()
        hubs = [keys.tail(entry.key) for entry in self.snapshot.mirror.entries(keys.owned_by(site))] if site else []
        return plan(site, [claim for hub in hubs if (claim := self._claim(site, hub, hub == also))], others)

    def _claim(self, site: str, hub: str, asked: bool) -> Claim | None:
        record, owned = self.snapshot.classroom_of(hub), self.snapshot.owned(site, hub)
        if record is None or not (asked or (owned is not None and owned.may_be_taken_over)):
            return None
        spec, now = record.document.classroom.spec, self.clock.now()
        targets = tuple(target.site for target in self.planner.standbys(hub, site))
        name = record.document.classroom.name
        return Claim(name, urgency(spec, now), self._need(record.document), targets)


def _message(item: Item) -> control_pb2.ReadinessItem:
    return control_pb2.ReadinessItem(state=item.state.value, what=item.what, why=item.why, todo=item.todo)
