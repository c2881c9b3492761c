"""What an operation does next: one table from the last finished step to a move (DESIGN.md section 2, "operation").

The coordinator's loop reads the facts, asks `next_move` once, carries the move out with a guarded write, and looks
again. Any step may be interrupted before or after its effect: a move is decided from what *is*, so a new leader
simply goes on. Nothing about steps may be decided elsewhere.
"""

from __future__ import annotations

from typing import assert_never

from federation.core.moving import move
from federation.core.operation_facts import (
    LATER_S,
    Assign,
    Confirm,
    End,
    Facts,
    Finish,
    LookAtCopies,
    Move,
    TakeOver,
    Unname,
    Wait,
    Withdraw,
)
from federation.core.serving import serve
from federation.core.takeover import Go, Hold, Nothing
from federation.model.operation import OperationKind, Step


def next_move(facts: Facts) -> Move:
    """The one next move of an operation that is not done."""
    match facts.operation.kind:
        case OperationKind.PLACE:
            return _place(facts)
        case OperationKind.RETIRE:
            return _retire(facts)
        case OperationKind.FAILOVER:
            return _failover(facts)
        case OperationKind.MOVE:
            return move(facts)
        case _ as never:
            assert_never(never)


def _place(facts: Facts) -> Move:
    owner = facts.ownership.owner if facts.ownership else None
    step = facts.operation.step
    if step is Step.ADMITTED:
        return _assign(facts, owner)
    return serve(facts, owner)


def _failover(facts: Facts) -> Move:
    if facts.operation.step is not Step.ADMITTED:
        return serve(facts, facts.ownership.owner if facts.ownership else None)
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
