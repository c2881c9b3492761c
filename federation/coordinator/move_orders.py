"""Orders that change where a class runs: planned moves, forced failovers, cordons. Admission only: the loops carry out.

Any replica may admit. What is refused is refused with the numbers, and with what to do instead (I9).
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.coordinator.admission import Admission, Admitted
from federation.coordinator.facts import Planner
from federation.coordinator.observations import Sightings
from federation.coordinator.snapshot import Snapshot
from federation.core.copies import stale_after
from federation.model.classroom import ClassroomSpec
from federation.model.classroom_running import Movable
from federation.model.errors import Conflict, InvalidRequest, NotFound, Refused, Unavailable
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import Ownership, SiteLease
from federation.model.placing import ClassroomRecord
from federation.model.profile import Profile
from federation.model.status import Cordon, SiteRecord
from federation.store import keys
from federation.store.register import Changes, Stored

LONGEST_REASON = 200
LONGEST_DRAIN_S = 4 * 3600.0
STUCK = (Step.ASSIGNED, Step.OWNED)
CORDON_ATTEMPTS = 5  # what a site reports is written to the same record


@dataclass(frozen=True, slots=True)
class MoveOrder:
    """How a move was asked for. `to` empty: the standby. `drain_s`: how long students who work are waited for.
    `rule`: no person asks, but a rule; `unseen`: of what is seen from outside."""

    actor: str
    to: str = ""
    reason: str = ""
    now: bool = False
    drain_s: float = 0.0
    accept_loss: bool = False
    rule: bool = False
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class FailoverOrder:
    """`vouched_site`: the dead site's name, typed by somebody who knows that nothing of the hub runs there."""

    actor: str
    reason: str
    vouched_site: str
    to: str = ""
    accept_loss: bool = False


@dataclass(slots=True)
class MoveOrders:
    """Guarded writes, one transaction each."""

    admission: Admission
    snapshot: Snapshot
    planner: Planner
    sightings: Sightings
    profile: Profile

    async def move(self, name: str, asked: MoveOrder) -> Admitted:
        """Order a planned move. The same order again changes nothing; one with more force (`now`, a shorter drain, a loss
        that is accepted) gives that to the move that is under way, and makes a rule's move a person's."""
        if not 0 <= asked.drain_s <= LONGEST_DRAIN_S:
            raise InvalidRequest(f"students can be waited for from 0 to {LONGEST_DRAIN_S / 3600:.0f} hours")
        record, operation, ownership = await self.live(name)
        running, owner = operation.document, ownership.document.owner or ""
        if not running.done and not _leaves_a_stuck_owner(running, owner, asked):
            return await self._hurry(name, record, operation, asked)
        target = asked.to or self.standby(name, record.document.uid, owner)
        if target == owner:
            return Admitted(record, running, changed=False, generated={})
        if self.snapshot.site(target) is None:
            raise NotFound(f"no site named {target} has joined", help="`fedctl sites` lists them.")
        objection = self.planner.objection_to(record.document.uid, target)
        if any(earlier.site == target for earlier in ownership.document.earlier):
            objection = f"{target} has not confirmed that nothing of it runs there since it lost it"
        if objection:
            raise Refused(f"{name} cannot move to {target}: {objection}", help="`fedctl sites` shows what is free.")
        movable = record.document.classroom.spec.placement.movable
        if movable is Movable.NEVER and not asked.now:
            raise Refused(f"{name}: placement.movable is never", help="--now moves it all the same.")
        order = self.admission.operation(OperationKind.MOVE, record.document, asked.actor).revise(
            source=owner,
            target=target,
            reason=_one_line(asked.reason),
            now=asked.now,
            drain_s=asked.drain_s,
            accept_loss=asked.accept_loss,
            rule=asked.rule,
            unseen=asked.unseen,
        )
        message = f"from {owner} to {target}" + (f": {order.reason}" if order.reason else "")
        return await self._admit(record, operation, order, f"{order.event}.admitted", message)

    async def cancel(self, name: str, actor: str) -> Admitted:
        """Give a move up; Refused once its target owns the hub, for then it is moved. One that an outage has interrupted
        is over if a takeover follows, and does not go on if none does."""
        record, operation, ownership = await self.live(name)
        running, move = operation.document, _move_of(operation.document)
        if move is None:
            return Admitted(record, running, changed=False, generated={})
        if ownership.document.owner not in (None, move.source):
            raise Refused(
                f"{name}: {ownership.document.owner} owns it already",
                help=f"`fedctl move {name} --to {move.source}`.",
            )
        move = move.revise(cancelled=f"cancelled by {actor}")
        order = running.revise(interrupted=move) if running.kind is OperationKind.FAILOVER else move
        return await self._admit(record, operation, order, "move.cancelled", f"by {actor}")

    async def failover(self, name: str, asked: FailoverOrder) -> Admitted:
        """A takeover by a person's word: of a hub that nothing else may move, because it is standing and may still run
        at the silent site, or because automatic moves are paused or frozen. Never of one whose site answers."""
        if not _one_line(asked.reason):
            raise InvalidRequest("a failover needs a reason", help='E.g. --reason "power is out at iu until Monday".')
        record, operation, ownership = await self.live(name)
        owner = ownership.document.owner or ""
        if asked.vouched_site != owner:
            raise InvalidRequest(
                f"{name} is {owner}'s: type --vouch {owner} if you know that nothing of it runs there any more",
                help="If it does run there, students would work in two copies. Pull the plug first.",
            )
        lease, running = self._silent_lease(name, owner), operation.document
        waits = running.kind is OperationKind.FAILOVER and running.step is Step.ADMITTED
        before = running.interrupted if waits else running
        self._refuse_lost_homes(name, record, asked)
        order = self.admission.operation(OperationKind.FAILOVER, record.document, asked.actor).revise(
            source=owner,
            target=asked.to,
            reason=_one_line(asked.reason),
            forced=True,
            accept_loss=asked.accept_loss,
            counted=lease.revision,
            interrupted=None if running.done else before,
        )
        message = f"by {asked.actor}, who vouches that nothing of it runs at {owner}: {order.reason}"
        # what has begun already begins for hooks once
        event = (
            "failover.vouched" if running.kind is OperationKind.FAILOVER and not running.done else "failover.ordered"
        )
        return await self._admit(record, operation, order, event, message)

    async def cordon(self, site: str, reason: str | None, actor: str, *, drain: bool) -> tuple[bool, list[str]]:
        """Close a site to new hubs, with `drain` also to those that are there, or open it again (`reason` None). Returns
        whether something changed, and what becomes of each hub that is there."""
        cordon = None
        if reason is not None:
            if not _one_line(reason):
                raise InvalidRequest("closing a site needs a reason", help='E.g. --reason "storage work on Friday".')
            since = self.admission.journalist.clock.now()
            cordon = Cordon(reason=_one_line(reason), actor=actor, since=since, drain=drain)
        for _attempt in range(CORDON_ATTEMPTS):
            try:
                changed = await self._set_cordon(site, cordon, actor)
                break
            except Conflict:  # the site's report is written to the same record
                continue
        else:
            changed = await self._set_cordon(site, cordon, actor)
        return changed, self._leaving(site) if cordon is not None and drain else []

    def _leaving(self, site: str) -> list[str]:
        """A line per hub of the site: where it will go, or why it stays."""
        lines = []
        for entry in self.snapshot.mirror.entries(keys.owned_by(site)):
            hub = keys.tail(entry.key)
            record = self.snapshot.classroom_of(hub)
            if record is None:
                continue
            name, movable = record.document.classroom.name, record.document.classroom.spec.placement.movable
            targets = self.planner.standbys(hub, site)
            fit = next((target.site for target in targets if not target.objection), None)
            if movable is Movable.NEVER:
                lines.append(f"{name} stays: placement.movable is never; `fedctl move {name} --now` moves it")
            elif fit is None:
                told = "; ".join(f"{target.site}: {target.objection}" for target in targets)
                lines.append(f"{name} stays for now: no site can take it ({told or 'no other site is allowed'})")
            else:
                lines.append(f"{name} moves to {fit}, outside its class times")
        return lines

    async def _set_cordon(self, site: str, cordon: Cordon | None, actor: str) -> bool:
        stored = await self.admission.register.read(keys.site(site), SiteRecord)
        if stored is None:
            raise NotFound(f"no site named {site} has joined", help="`fedctl sites` lists them.")
        before = stored.document.cordon
        if (before is None) == (cordon is None) and (
            before is None or cordon is None or (before.reason, before.drain) == (cordon.reason, cordon.drain)
        ):
            return False
        changes = Changes().unchanged(stored.key, stored).put(stored.key, stored.document.revise(cordon=cordon))
        kind = "site.uncordoned" if cordon is None else "site.drained" if cordon.drain else "site.cordoned"
        message = str(cordon) if cordon is not None else "open for hubs again"
        self.admission.journalist.add(changes, kind, message, site=site, actor=actor)
        await self.admission.register.commit(changes)
        return True

    # --- parts ---

    async def live(self, name: str) -> tuple[Stored[ClassroomRecord], Stored[Operation], Stored[Ownership]]:
        """A class that a site runs, or a planned move is about to take there; NotFound and Refused else."""
        record, operation = await self.admission.live(name)
        if record.document.retired is not None:
            raise Refused(f"{name} is retired", help=f"`fedctl restore {name}` brings it back.")
        ownership = await self.admission.register.read(keys.ownership(record.document.uid), Ownership)
        if ownership is None or (
            ownership.document.owner is None and operation.document.kind is not OperationKind.MOVE
        ):
            raise Refused(f"{name} runs nowhere yet: {operation.document.waiting_for or 'it is being placed'}")
        return record, operation, ownership

    async def _hurry(
        self, name: str, record: Stored[ClassroomRecord], operation: Stored[Operation], asked: MoveOrder
    ) -> Admitted:
        running = operation.document
        if running.kind is not OperationKind.MOVE or (asked.to and asked.to != running.target):
            what = f"{running.kind.value} is under way"
            raise Refused(
                f"{name}: {what}, {running.waiting_for or 'at ' + running.step.value}",
                help=f"`fedctl watch {name}` shows it; {_way_out(name, running)}",
            )
        order = _with_more_force(running, asked)
        if order is running:
            return Admitted(record, running, changed=False, generated={})
        force = [
            "now" * (order.now and not running.now),
            f"waits for students for {order.drain_s:.0f} s" * (order.drain_s < running.drain_s),
            "a loss is accepted" * (order.accept_loss and not running.accept_loss),
        ]
        message = f"by {asked.actor}: {', '.join(filter(None, force))}"
        return await self._admit(record, operation, order, "move.hurried", message)

    def standby(self, name: str, hub: str, owner: str) -> str:
        """The site that would take over: the first that nothing speaks against."""
        targets = self.planner.standbys(hub, owner)
        fit = next((target.site for target in targets if not target.objection), None)
        if fit is None:
            told = "; ".join(f"{target.site}: {target.objection}" for target in targets)
            raise Refused(f"no site can take {name} ({told or 'no other site is allowed'})")
        return fit

    def _silent_lease(self, name: str, owner: str) -> Stored[SiteLease]:
        age_s, lease = self.sightings.age_s(owner), self.snapshot.get(keys.lease(owner), SiteLease)
        if age_s is None or lease is None:
            if self.sightings.changed_within(owner, self.profile.takeover_s):
                raise Unavailable(
                    f"this coordinator has not watched {owner} for {self.profile.takeover_s:g} s yet; try again then"
                )
            if lease is None:
                raise Refused(f"{owner} has never renewed a lease")
            return lease
        if age_s < self.profile.takeover_s:
            raise Refused(
                f"{owner} renewed its lease {age_s:.0f} s ago: it lives, and {name} may run there",
                help=f"`fedctl move {name}` moves it with everything in it, `--accept-loss` if its homes cannot be copied.",
            )
        return lease

    def _refuse_lost_homes(self, name: str, record: Stored[ClassroomRecord], asked: FailoverOrder) -> None:
        """What students would lose, in numbers; accepted or not. Empty homes are never a choice (I6)."""
        spec: ClassroomSpec = record.document.classroom.spec
        protection, home = spec.storage.protection, self.snapshot.home(record.document.uid)
        if protection is None:
            return
        if home is None:
            raise Refused(
                f"{name}: no copy of its homes is on record, so students would start in empty ones",
                help="Wait for the site, or place a class of another name.",
            )
        age_s = (self.admission.journalist.clock.now() - home.document.taken).total_seconds()
        if age_s > stale_after(protection.every.seconds, used_since_copy=True) and not asked.accept_loss:
            taken = home.document.taken.strftime("%Y-%m-%d %H:%M UTC")
            raise Refused(
                f"{name}: the newest copy is of {taken}, {age_s / 60:.0f} min old ({home.document.homes} homes): what was "
                "written since would be missing until the site comes back",
                help="--accept-loss, if that is better than waiting.",
            )

    async def _admit(
        self,
        record: Stored[ClassroomRecord],
        operation: Stored[Operation],
        order: Operation,
        event: str,
        message: str,
    ) -> Admitted:
        changes = Changes().unchanged(operation.key, operation).put(operation.key, order)
        changes.unchanged(record.key, record)
        self.admission.journalist.add(changes, event, message, hub=order.hub, actor=order.actor)
        await self.admission.register.commit(changes)
        return Admitted(record, order, changed=True, generated={})


def _move_of(running: Operation) -> Operation | None:
    """The move that is under way, or would be again if the failover that interrupted it were withdrawn."""
    waits = running.kind is OperationKind.FAILOVER and running.step is Step.ADMITTED
    move = running.interrupted if waits else running
    return move if move is not None and move.kind is OperationKind.MOVE and not move.done else None


def _with_more_force(running: Operation, asked: MoveOrder) -> Operation:
    """The move as the stronger of two orders wants it; the same object if the new one adds nothing. Force is never taken
    away: an order that does not name it has not thought of it. Once a site has given the hub up, nothing can be lost."""
    may_lose = running.step not in (Step.RELEASED, *STUCK) and not running.done
    order = running.revise(
        now=running.now or asked.now,
        drain_s=min(running.drain_s, asked.drain_s),
        accept_loss=running.accept_loss or (asked.accept_loss and may_lose),
    )
    # a drill stays one, whoever hurries it
    return running if order == running else order.revise(rule=running.rule and (asked.rule or bool(running.drill)))


def _leaves_a_stuck_owner(running: Operation, owner: str, asked: MoveOrder) -> bool:
    """A site that owns a hub and cannot start it holds it fast: whoever names another site, and now, takes it away. It is
    an ordinary move: stopped, copied (or with a loss that was accepted), released."""
    return running.step in STUCK and asked.now and asked.to not in ("", owner)


def _way_out(name: str, running: Operation) -> str:
    if running.step in STUCK:
        away = f"`fedctl move {name} --to SITE --now` takes it away from a site that cannot start it"
        return f"{away}, with --accept-loss if its homes cannot be copied there."
    return f"`fedctl move {name} --cancel` gives a move up."


def _one_line(text: str) -> str:
    return " ".join(text.split())[:LONGEST_REASON]
