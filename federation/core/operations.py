"""What an operation does next: one table from the last finished step to a move (DESIGN.md section 2, "operation").

The coordinator's loop reads the facts, asks `next_move` once, carries the move out with a guarded write, and looks
again. Any step may be interrupted before or after its effect: a move is decided from what *is*, so a new leader
simply goes on. Nothing about steps may be decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from federation.core.calendar import Window
from federation.core.placement import Choice
from federation.core.takeover import Go, Hold, Nothing, Verdict
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import Ownership

SOON_S = 1.0
LATER_S = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What the owner's agent reports about the hub, from the leader's memory."""

    epoch_matches: bool
    generation: int
    phase: str
    gate_open: bool
    processes: int
    message: str = ""
    homes: str = ""

    @property
    def closed(self) -> bool:
        """Nothing of the hub runs there, and nobody is let in."""
        return self.phase == "stopped" and not self.processes and not self.gate_open


@dataclass(frozen=True, slots=True)
class Facts:
    """All that `next_move` looks at. `seen` None: the site has not reported since this leader was elected.
    `earlier_seen` is the report of the site whose ownership ended; `name_leads_here` is what the outside sees."""

    operation: Operation
    ownership: Ownership | None
    choice: Callable[[], Choice]
    seen: Seen | None = None
    earlier_seen: Seen | None = None
    verified: bool | None = None  # None: not probed yet
    name_leads_here: bool | None = None  # None: not asked yet
    name_exists: bool | None = None
    problem: str = ""  # why the last probe or name write failed
    in_meeting: Window | None = None  # the change restarts the hub, and the class meets now
    no_room: str = ""  # why the owner's site cannot hold what the change asks for
    copies: str | None = None  # why the standby could not restore the homes; empty: it could; None: not asked yet
    takeover: Callable[[], Verdict] = lambda: Nothing("not a failover")


@dataclass(frozen=True, slots=True)
class Assign:
    """Make `choice.site` the owner at the next epoch."""

    choice: Choice


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Make the standby the owner at the next epoch, guarded by the lease that was counted."""

    go: Go


@dataclass(frozen=True, slots=True)
class LookAtCopies:
    """Ask the standby whether it could restore the recorded copy of the students' homes."""

    site: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The failover is not needed (any more): what it interrupted goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class End:
    """End the ownership with a tombstone at the next epoch."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """The earlier owner has closed: take it off the hub's record and finish the step."""

    step: Step
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the step as finished."""

    step: Step
    message: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """Look at the login page through the site's edge."""


@dataclass(frozen=True, slots=True)
class Name:
    """Let the hub's name lead to its site, and look at it from outside."""


@dataclass(frozen=True, slots=True)
class Unname:
    """Remove the hub's name."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now, for this reason; look again after `look_s`."""

    reason: str
    look_s: float = SOON_S


Move = Assign | LookAtCopies | TakeOver | Withdraw | End | Confirm | Finish | Probe | Name | Unname | Wait


def next_move(facts: Facts) -> Move:
    """The one next move of an operation that is not done."""
    match facts.operation.kind:
        case OperationKind.PLACE:
            return _place(facts)
        case OperationKind.RETIRE:
            return _retire(facts)
        case OperationKind.FAILOVER:
            return _failover(facts)
        case _ as never:
            assert_never(never)


def _place(facts: Facts) -> Move:
    owner = facts.ownership.owner if facts.ownership else None
    step = facts.operation.step
    if step is Step.ADMITTED:
        return _assign(facts, owner)
    return _serve(facts, owner)


def _failover(facts: Facts) -> Move:
    if facts.operation.step is not Step.ADMITTED:
        return _serve(facts, facts.ownership.owner if facts.ownership else None)
    verdict = facts.takeover()
    match verdict:
        case Go(target=target):
            if facts.copies is None:
                return LookAtCopies(target)
            return Wait(f"{target}: {facts.copies}", LATER_S) if facts.copies else TakeOver(verdict)
        case Hold(reason):
            return Wait(reason)
        case Nothing(reason):
            return Withdraw(reason)
        case _ as never:
            assert_never(never)


def _serve(facts: Facts, owner: str | None) -> Move:
    """A site was made the owner: wait until it serves, look from outside, name it."""
    step = facts.operation.step
    if owner is None:
        return Wait("nobody owns the hub although it was assigned: the register was changed by hand", LATER_S)
    if step in (Step.ASSIGNED, Step.OWNED):
        return _await_start(facts, owner)
    if step is Step.STARTED:
        return _verified(facts, owner)
    if step is Step.VERIFIED:
        return _named(facts)
    return Finish(Step.DONE, "serving")


def _assign(facts: Facts, owner: str | None) -> Move:
    if owner is not None and facts.in_meeting is not None:
        until = facts.in_meeting.end.strftime("%H:%M UTC")
        return Wait(f"the change restarts the hub: after the class that ends at {until}, or with --now", LATER_S)
    if owner is not None and facts.no_room:
        return Wait(f"{owner} has no room for the change: it {facts.no_room}", LATER_S)
    if owner is not None:
        return Finish(Step.ASSIGNED, f"stays at {owner}")
    choice = facts.choice()
    if choice.site is None:
        return Wait(choice.reason, LATER_S)
    return Assign(choice)


def _await_start(facts: Facts, owner: str) -> Move:
    seen = facts.seen
    if seen is None:
        return Wait(f"{owner}: no report from the site's agent yet")
    if not seen.epoch_matches:
        return Wait(f"{owner}: has not heard of this epoch yet")
    if seen.phase != "serving" or not seen.gate_open:
        detail = f": {seen.message}" if seen.message else ""
        return Wait(f"{owner}: hub is {seen.phase}{detail}")
    if seen.generation < facts.operation.generation:
        return Wait(f"{owner}: serves generation {seen.generation}, applying {facts.operation.generation}")
    return Finish(Step.STARTED, f"serving at {owner}")


def _verified(facts: Facts, owner: str) -> Move:
    if facts.verified is None:
        return Probe()
    if not facts.verified:
        return Wait(f"{owner}: login page not seen through the edge: {facts.problem}")
    return Finish(Step.VERIFIED, "login page seen through the site's edge")


def _named(facts: Facts) -> Move:
    if facts.name_leads_here is None:
        return Name()
    if not facts.name_leads_here:
        return Wait(f"name does not lead to the hub yet: {facts.problem}")
    return Finish(Step.NAMED, "name seen from outside")


def _retire(facts: Facts) -> Move:
    ownership = facts.ownership
    step = facts.operation.step
    if step is Step.ADMITTED:
        if ownership is None:
            return Finish(Step.CLOSED, "was never assigned")
        homes_to_delete = facts.operation.delete_homes and ownership.homes_at and not ownership.earlier
        return Finish(Step.CLOSED, "ownership ended") if ownership.tombstone and not homes_to_delete else End()
    if step is Step.CLOSED:
        return _await_stop(facts)
    if step is Step.STOPPED:
        if facts.name_exists is None:
            return Unname()
        if facts.name_exists:
            return Wait(f"name is not removed yet: {facts.problem}")
        return Finish(Step.UNNAMED, "name removed")
    return Finish(Step.DONE, "retired")


def _await_stop(facts: Facts) -> Move:
    earlier = facts.ownership.earlier if facts.ownership else ()
    if not earlier:
        return Finish(Step.STOPPED, "nothing ran")
    site, seen = earlier[-1].site, facts.earlier_seen
    if seen is None:
        return Wait(f"{site}: its agent has not reported; the hub may still run there", LATER_S)
    if not seen.closed:
        return Wait(f"{site}: hub is {seen.phase}, {seen.processes} processes left")
    if not seen.epoch_matches:  # a hub that is not in a report may not have been looked at yet
        return Wait(f"{site}: its agent has not confirmed the end of this ownership yet")
    if facts.operation.delete_homes and seen.homes:
        return Wait(f"{site}: homes are being deleted: {seen.homes}")
    return Confirm(Step.STOPPED, f"{site} verified that nothing of the hub runs")
