"""Orders copies of homes and records them: the home index is written only under the (owner, epoch) that it was made at.

One run per hub and look, a few at a time per site. A run that ends after the ownership has moved is not recorded: its
snapshot stays in the old site's own path and is never restored by mistake (PROTOCOL.md H7).
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import structlog

from federation.api.v1 import agent_pb2
from federation.coordinator.events import Journalist
from federation.coordinator.observations import Observations
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.turns import Turns
from federation.coordinator.wanted import epoch_message
from federation.core.copies import CopyFacts, due_in, rest_s, stale_after, urgency_of
from federation.core.copy_history import HomeSeen, recorded
from federation.model.classroom import Classroom
from federation.model.classroom_seat import Protect
from federation.model.errors import DriverError, FederationError
from federation.model.homes import CopyPoint, HomeHistory, HomeIndex
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import Ownership
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 2  # runs at one site
LOOK_S, SOON_S = 10.0, 1.0
LIMIT_S = 1800.0
FINAL_AGAIN_S = 5.0
LOOK_LIMIT_S = 60.0
MOST_UNREAD = 20


@dataclass(slots=True)
class Use:
    """When students' servers of a hub were seen, on the leader's clock."""

    mark: int | None = None
    last_mono: float | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """Copies of a hub that one agent (site and incarnation) has refused in a row, the last one at this time. Another agent
    may well make one."""

    agent: tuple[str, int]
    count: int
    at_mono: float


@dataclass(slots=True)
class CopiesLoop:
    """`reconcile(hub)`; `problem_of` and `look` for those who decide about moves."""

    register: Register
    snapshot: Snapshot
    observations: Observations
    sessions: Sessions
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    random: Random
    actor: str
    _errors: dict[str, str] = field(default_factory=dict)  # why the last run of a hub failed
    _missed: dict[str, Missed] = field(default_factory=dict)
    _turns: dict[str, Turns] = field(default_factory=lambda: defaultdict(lambda: Turns(3 * SOON_S)))  # of each site
    _final_errors: dict[str, str] = field(default_factory=dict)
    _nothing: dict[str, str] = field(default_factory=dict)  # hub -> the move whose source never restored its homes
    _final_mono: dict[str, float] = field(default_factory=dict)  # hub -> when its final copy was made
    _running: Counter[str] = field(default_factory=Counter)
    _use: dict[str, Use] = field(default_factory=dict)
    _taken_mono: dict[str, tuple[str, float]] = field(default_factory=dict)  # hub -> snapshot and when its run began

    async def reconcile(self, hub: str) -> float | None:
        """Copy the hub's homes if that is due."""
        stored, generation = self.snapshot.ownership(hub), self.snapshot.in_force(hub)
        if stored is None or stored.document.owner is None or generation is None:
            return None
        if generation.classroom.spec.storage.protection is None or self.snapshot.home_key(hub) is None:
            return None
        if self.final_due(stored.document):
            asked_mono = self._final_mono.get(hub)
            if asked_mono is not None and self.journalist.clock.mono() - asked_mono < FINAL_AGAIN_S:
                return SOON_S  # it was copied a moment ago, and the site has not said yet that this is the last word
            try:
                await self._copy(stored, stored.document.owner)
            except FederationError as error:
                self._final_errors[hub] = error.message
                raise
            self._final_errors.pop(hub, None)
            self._final_mono[hub] = self.journalist.clock.mono()
            return SOON_S
        self._final_errors.pop(hub, None)  # what went wrong with another move says nothing of the next one
        facts = self._facts(stored.document, generation.classroom.spec.storage.protection.every.seconds)
        if facts is None:
            return LOOK_S
        site = stored.document.owner
        wait_s = max(due_in(facts), self._rest_s(hub, site, facts.every_s))
        if wait_s > 0:
            return min(wait_s, LOOK_S)
        if not self._turn(site, hub, urgency_of(facts)):
            return SOON_S
        self._running[site] += 1
        try:
            await self._copy(stored, site)
        finally:
            self._running[site] -= 1
        return LOOK_S

    def is_final(self, ownership: Ownership) -> bool:
        """Whether the copy on record is the one that the owner says it made since it last stopped the hub."""
        index = self.snapshot.home(ownership.hub)
        report = self.observations.hub_at(ownership.owner or "", ownership.hub)
        if index is None or report is None or not report.final_run:
            return False
        same = (index.document.epoch, index.document.copy_.site) == (ownership.epoch, ownership.owner)
        return same and index.document.run == report.final_run

    def final_error(self, hub: str) -> str:
        """Why the last attempt at the final copy of the move that is under way failed; empty: none has."""
        return self._final_errors.get(hub, "")

    def nothing_there(self, operation: Operation, ownership: Ownership) -> bool:
        """Whether the source of the move says that it never restored the homes, so that the copy on record, which is of
        before, is all there is. Not believed of a site that has copied them at this epoch."""
        index = self.snapshot.home(ownership.hub)
        before = index is not None and index.document.epoch < ownership.epoch
        return before and ownership.restore is not None and self._nothing.get(ownership.hub) == operation.id

    def final_due(self, ownership: Ownership) -> bool:
        """A planned move has stopped the hub, and what was written last is not on record yet. Whoever waits for this
        copy has no class at all, so it waits for no turn."""
        operation = self.snapshot.operation(ownership.hub)
        if operation is None or operation.document.kind is not OperationKind.MOVE:
            return False
        if operation.document.step not in (Step.STOPPED, Step.COPIED) or operation.document.source != ownership.owner:
            return False
        seen = self.observations.seen(ownership.owner, ownership.hub, ownership.epoch)
        return seen is not None and seen.closed and not seen.released and not self.is_final(ownership)

    def _turn(self, site: str, hub: str, urgency: float) -> bool:
        """Whether the hub may be copied now: the site has a slot, and nobody who looked just now is more overdue."""
        first = self._turns[site].ask(hub, urgency, self.journalist.clock.mono())
        if self._running[site] >= MOST_AT_ONCE or not first:
            return False
        self._turns[site].done(hub)
        return True

    def problem_of(self, hub: str) -> str:
        """Why the students' files would not be there after a move now, in words that change only when that does; empty:
        they would, or there are none."""
        stored, generation = self.snapshot.ownership(hub), self.snapshot.in_force(hub)
        if stored is None or generation is None:
            return "the classroom is not known yet"
        protection = generation.classroom.spec.storage.protection
        if protection is None:
            return ""
        index = self.snapshot.home(hub)
        if index is None:
            why = self._errors.get(hub, "")
            return "no copy of its students' homes is made yet" + (f": {why}" if why else "")
        if index.document.epoch.era < stored.document.epoch.era:  # a backup may name an older one than the newest
            why = self._errors.get(hub, "")
            old = "no copy of its students' homes is made yet since the register was recovered"
            return old + (f": {why}" if why else "")
        age_s = self._age_s(hub)
        limit_s = stale_after(protection.every.seconds, used_since_copy=self._used_since(hub, age_s))
        if age_s is not None and age_s > limit_s:
            why = self._errors.get(hub, "")
            old = f"the newest copy of its students' homes is older than {limit_s / 60:.0f} min"
            return old + (f": {why}" if why else "")
        return ""

    async def look(self, hub: str, site: str) -> str:
        """Ask `site` whether it could restore the recorded copy now; empty: it could, or there is nothing to restore."""
        generation = self.snapshot.in_force(hub)
        if generation is not None and generation.classroom.spec.storage.protection is None:
            return ""
        index, password = self.snapshot.home(hub), copies_password(self.snapshot, hub, site)
        if index is None:
            return "no copy of its students' homes is recorded"
        if not password:
            return f"{site} cannot open the copies: their password was not sealed to it"
        ref = copy_message(hub, index.document.copy_)
        ask = agent_pb2.Ask(look=agent_pb2.LookAsk(copy=ref, password=password))
        answer = await self.sessions.ask(site, ask, limit_s=LOOK_LIMIT_S)
        return answer.error

    async def _copy(self, stored: Stored[Ownership], site: str) -> None:
        ownership, clock = stored.document, self.journalist.clock
        hub, taken, taken_mono = ownership.hub, clock.now(), clock.mono()
        report = self.observations.hub_at(site, hub)
        run = f"{self.random.getrandbits(48):012x}"
        ask = agent_pb2.CopyAsk(
            hub=hub, epoch=epoch_message(ownership.epoch), run=run, password=copies_password(self.snapshot, hub, site)
        )
        answer = await self.sessions.ask(site, agent_pb2.Ask(copy=ask), limit_s=LIMIT_S)
        self._errors[hub] = answer.error
        missed, agent = self._missed.pop(hub, None), self._agent(site)
        if answer.error:
            misses = missed.count if missed is not None and missed.agent == agent else 0
            self._missed[hub] = Missed(agent, misses + 1, clock.mono())
            raise DriverError(f"{hub}: homes were not copied: {answer.error}", delay_s=LOOK_S)
        said = answer.copied
        if said.nothing:
            operation = self.snapshot.operation(hub)
            self._nothing[hub] = operation.document.id if operation is not None else ""
            return
        index = HomeIndex(
            hub=hub,
            copy_=CopyPoint(site=site, snapshot=said.snapshot),
            epoch=ownership.epoch,
            run=run,
            taken=taken,
            used=report.used if report is not None else 0,
            homes=said.homes,
            files=said.files,
            bytes=said.bytes,
            seconds=said.seconds,
            unread=tuple(said.unread[:MOST_UNREAD]),
            database=said.database,
        )
        before, history = self.snapshot.home(hub), self.snapshot.get(keys.home_history(hub), HomeHistory)
        seen = {home.name: HomeSeen(home.bytes, home.changed) for home in said.each}
        after = recorded(history.document if history is not None else None, index, seen, clock.now(), self._keep_s(hub))
        changes = Changes().only_if(self.leader_guard()).unchanged(stored.key, stored)
        changes.unchanged(keys.home(hub), before).put(keys.home(hub), index)
        changes.unchanged(keys.home_history(hub), history).put(keys.home_history(hub), after)
        if before is None or before.document.copy_.site != site:
            message = f"{said.homes} homes, {said.bytes / 2**20:.1f} MiB, in {said.seconds:.1f} s"
            self.journalist.add(changes, "homes.copied", message, hub=hub, site=site, actor=self.actor)
        await self.register.commit(changes)
        self._taken_mono[hub] = (said.snapshot, taken_mono)
        log.info("homes.copied", hub=hub, site=site, snapshot=said.snapshot, seconds=round(said.seconds, 2))

    def _rest_s(self, hub: str, site: str, every_s: float) -> float:
        """Seconds for which the site is left alone with this hub, because it said why it makes no copy; 0 or less: none."""
        missed = self._missed.get(hub)
        if missed is None or missed.agent != self._agent(site):
            return 0.0
        return missed.at_mono + rest_s(missed.count, every_s) - self.journalist.clock.mono()

    def _agent(self, site: str) -> tuple[str, int]:
        memory = self.observations.site(site)
        return site, memory.incarnation if memory is not None else 0

    def _facts(self, ownership: Ownership, every_s: float) -> CopyFacts | None:
        """None while the site has not reported: what is not known is not copied."""
        hub, now_mono = ownership.hub, self.journalist.clock.mono()
        report = self.observations.hub_at(ownership.owner or "", hub)
        if report is None or report.phase != "serving" or not report.epoch.n:
            return None
        if (report.epoch.era, report.epoch.n) != (ownership.epoch.era, ownership.epoch.n):
            return None
        use = self._use.setdefault(hub, Use())
        if report.servers or (use.mark is not None and use.mark != report.used):
            use.last_mono = now_mono
        use.mark = report.used
        index = self.snapshot.home(hub)
        mine = index is not None and index.document.copy_.site == ownership.owner
        age_s = self._age_s(hub) if mine and index is not None and index.document.epoch == ownership.epoch else None
        return CopyFacts(
            every_s=every_s,
            age_s=age_s,
            used=report.servers > 0,
            used_since_copy=self._used_since(hub, age_s),
            idle_s=None if report.servers else now_mono - use.last_mono if use.last_mono is not None else LOOK_S,
        )

    def _age_s(self, hub: str) -> float | None:
        """Of the recorded copy: by this leader's own clock if it ordered it, else by wall clocks of leaders."""
        index = self.snapshot.home(hub)
        if index is None:
            return None
        known = self._taken_mono.get(hub)
        if known is not None and known[0] == index.document.copy_.snapshot:
            return self.journalist.clock.mono() - known[1]
        return max(0.0, (self.journalist.clock.now() - index.document.taken).total_seconds())

    def _used_since(self, hub: str, age_s: float | None) -> bool:
        """Whether students worked since the copy began, however briefly. While the site does not report, e.g. because it
        died together with the last leader, what that one recorded counts: a copy follows the last server closely."""
        stored, index = self.snapshot.ownership(hub), self.snapshot.home(hub)
        if age_s is None or stored is None or index is None:
            return True
        report = self.observations.hub_at(stored.document.owner or "", hub)
        if report is None or not report.epoch.n:
            observed = self.snapshot.observation(hub)
            return observed is not None and observed.document.servers > 0
        return report.servers > 0 or report.used != index.document.used

    def _keep_s(self, hub: str) -> float:
        generation = self.snapshot.in_force(hub)
        return kept_for(generation.classroom if generation is not None else None)


def kept_for(classroom: Classroom | None) -> float:
    """Seconds for which a class's copies stay listed."""
    protection = classroom.spec.storage.protection if classroom is not None else None
    return (protection or Protect()).keep.seconds


def copies_password(snapshot: Snapshot, hub: str, site: str) -> bytes:
    """The password of the hub's copies, sealed to this site; empty: it was not."""
    sealed = snapshot.home_key(hub)
    return b64decode(sealed.sealed[site]) if sealed is not None and site in sealed.sealed else b""


def copy_message(hub: str, copy: CopyPoint) -> agent_pb2.CopyRef:
    """The wire form."""
    return agent_pb2.CopyRef(site=copy.site, hub=hub, snapshot=copy.snapshot)
