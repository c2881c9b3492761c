"""A planned move, step by step: nothing is lost, and the only copy is stopped as late and as briefly as can be.

DESIGN.md 4.4, PROTOCOL.md H8: check the target -> drain -> stop, verify -> final copy -> the site gives its epoch up
for ever -> the target acquires the next one -> start -> verify -> name. The final copy comes after the stop, so that
nothing that a student wrote is missing from it (ADR 0015). Until the target has acquired the hub the move can be turned
round, and is, by itself, when the target fails (I5): the source then goes on at a higher epoch. What comes after that
is another move (`core.taking_back`).
"""

from __future__ import annotations

from federation.core.operation_facts import (
    LATER_S,
    Acquire,
    Facts,
    Finish,
    Keep,
    LookAtCopies,
    Move,
    MoveFacts,
    Release,
    Wait,
)
from federation.core.serving import serve
from federation.core.taking_back import serves_after_all, unable, unsaved
from federation.model.operation import Operation, Step

PATIENCE_S = 60.0  # the class is stopped: so long a target may be unfit, or a final copy fail, before the move is over
UNLED_S = 90.0  # so long after the end of its drain a move has had no leader, and is over
LET_IN_S = 120.0  # and so long after it the site lets students in again, if nobody has told it anything
HEAR_S = 30.0  # a hub that does not say that it lets nobody in is not waited for longer


def move(facts: Facts) -> Move:
    """The next move of a planned move that is not done."""
    operation, known = facts.operation, facts.move or MoveFacts()
    owner = facts.ownership.owner if facts.ownership else None
    if operation.step not in BEFORE_TARGET:
        return unable(facts, known, owner) or serve(facts, owner)
    if owner is None:
        return _released(operation, known)
    if owner != operation.source:
        return Finish(Step.DONE, f"over: {owner} owns the hub")
    if operation.cancelled:
        return _turn_round(operation, operation.cancelled)
    return _stays(facts, known) or _STEPS[operation.step](facts, known)


def _stays(facts: Facts, known: MoveFacts) -> Move | None:
    """While the class runs: what has changed since the move was ordered may end it."""
    if facts.operation.step not in (Step.ADMITTED, Step.CHECKED):
        return None
    return _turn_round(facts.operation, known.no_more) if known.no_more else serves_after_all(facts)


def _check(facts: Facts, known: MoveFacts) -> Move:
    operation = facts.operation
    if known.meeting is not None and not operation.now:
        since, until = (at.strftime("%H:%M") for at in (known.meeting.start, known.meeting.end))
        return Wait(f"the class meets from {since} to {until} UTC: after that, or with --now", LATER_S)
    if facts.seen is None:
        return Wait(f"{operation.source}: its agent has not reported", LATER_S)
    if known.objection:
        return Wait(f"{operation.target}: {known.objection}", LATER_S)
    if operation.back:
        return Finish(Step.CHECKED, f"{operation.target} lives and has room")
    if not known.lasting:
        return Finish(Step.CHECKED, f"{operation.target} has room; no homes are kept (storage.type none)")
    if not known.has_copy and not operation.accept_loss:
        return Wait("its homes were never copied: nothing could be restored if the final copy failed", LATER_S)
    if facts.copies is None:
        return LookAtCopies(operation.target)
    if facts.copies:
        return Wait(f"{operation.target}: {facts.copies}", LATER_S)
    return Finish(Step.CHECKED, f"{operation.target} has room and can read the copies")


def _drain(facts: Facts, known: MoveFacts) -> Move:
    operation, seen = facts.operation, facts.seen
    if known.in_step_s >= operation.drain_s + UNLED_S and not operation.back:
        return _turn_round(operation, "no coordinator was there when its drain was over, so students are let in again")
    if known.objection and known.in_step_s >= operation.drain_s + PATIENCE_S:
        return _turn_round(operation, f"{operation.target}: {known.objection}")
    if known.objection:  # the class still serves: a target that was not heard for a moment is waited for
        return Wait(f"{operation.target}: {known.objection}")
    if seen is None:
        return Wait(f"{operation.source}: its agent has not reported", LATER_S)
    if operation.now or known.in_step_s >= operation.drain_s + HEAR_S:
        return Finish(Step.DRAINED, f"{seen.servers} students' servers are stopped with it")
    if seen.phase != "serving" or not seen.epoch_matches:
        return Finish(Step.DRAINED, f"the hub is {seen.phase} anyway")
    if not seen.draining:
        return Wait(f"{operation.source}: the hub is told to let nobody new in")
    if not seen.active_servers:
        idle = f"{seen.servers} idle servers are stopped with it" if seen.servers else "no server runs"
        return Finish(Step.DRAINED, f"nobody works; {idle}")
    if known.in_step_s >= operation.drain_s:
        return Finish(Step.DRAINED, f"{seen.active_servers} students still work after {operation.drain_s:.0f} s")
    left = operation.drain_s - known.in_step_s
    return Wait(f"{seen.active_servers} students work; waited for, at most {left / 60:.0f} min more")


def _stop(facts: Facts, known: MoveFacts) -> Move:
    operation, seen = facts.operation, facts.seen
    if known.objection and known.in_step_s >= PATIENCE_S:
        return _turn_round(operation, f"{operation.target}: {known.objection}")
    if seen is None:
        return Wait(f"{operation.source}: its agent has not reported", LATER_S)
    if not seen.closed:
        return Wait(f"{operation.source}: hub is {seen.phase}, {seen.processes} processes left")
    return Finish(Step.STOPPED, f"{operation.source} verified that nothing of the hub runs")


def _copy(facts: Facts, known: MoveFacts) -> Move:
    operation = facts.operation
    if known.objection and known.in_step_s >= PATIENCE_S:
        return _turn_round(operation, f"{operation.target}: {known.objection}")
    if facts.seen is not None and not facts.seen.closed:
        return Wait(f"{operation.source}: the hub runs again, so it is stopped again")
    if not known.lasting:
        message = "no homes are kept (storage.type none)"
    elif known.copied:
        message = "the final copy is on record"
    elif known.nothing and known.has_copy:
        message = f"{operation.source} never restored its homes: the copy on record is all there is"
    elif known.copy_problem and operation.accept_loss and known.has_copy:
        message = f"without a final copy, as was accepted: {known.copy_problem}"
    elif unsaved(operation, known):
        message = f"{operation.source} had nothing to copy: {known.copy_problem}"
    else:
        return _copy_again(operation, known)
    # nothing is given up for a target that may have died a moment ago
    return Wait(f"{operation.target}: {known.objection}") if known.objection else Finish(Step.COPIED, message)


def _copy_again(operation: Operation, known: MoveFacts) -> Move:
    """It ran again, or the agent was restarted and does not know what it copied: the site would not give it up."""
    if known.copy_problem and known.in_step_s >= PATIENCE_S:
        return _turn_round(operation, f"the final copy failed: {known.copy_problem}")
    return Wait(f"{operation.source}: the final copy of its homes is made")


def _release(facts: Facts, known: MoveFacts) -> Move:
    operation, seen = facts.operation, facts.seen
    if known.objection and known.in_step_s >= PATIENCE_S:
        return _turn_round(operation, f"{operation.target}: {known.objection}")
    if seen is None:
        return Wait(f"{operation.source}: its agent has not reported", LATER_S)
    if seen.closed and seen.released:
        return Release(f"{operation.source} has given it up for ever at this epoch")
    if known.lasting and not known.copied and not operation.accept_loss:
        return _copy_again(operation, known)
    return Wait(f"{operation.source}: has not given the hub up yet")


def _released(operation: Operation, known: MoveFacts) -> Move:
    """Nobody owns it: the target takes it, or, if that cannot and the source can, the source takes it back."""
    back = operation.cancelled or (known.objection and known.in_step_s >= PATIENCE_S)
    if back and not known.source_objection:
        why = operation.cancelled or f"{operation.target}: {known.objection}"
        return Acquire(operation.source, f"turned round: {why}")
    if known.objection:
        also = f"; {operation.source}: {known.source_objection}" if back else ""
        return Wait(f"{operation.target}: {known.objection}{also}")
    return Acquire(operation.target, operation.reason or "a planned move")


def _turn_round(operation: Operation, reason: str) -> Move:
    """The source goes on. Only from the moment it may have given its epoch up does it need another one (H8 c)."""
    if operation.step is Step.COPIED:
        return Keep(reason)
    return Finish(Step.OWNED, f"it stays at {operation.source}: {reason}")


_STEPS = {
    Step.ADMITTED: _check,
    Step.CHECKED: _drain,
    Step.DRAINED: _stop,
    Step.STOPPED: _copy,
    Step.COPIED: _release,
}
BEFORE_TARGET = frozenset((*_STEPS, Step.RELEASED))
"""Steps at which the source owns the hub, or nobody does."""
