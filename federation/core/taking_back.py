"""When a class is taken back from a site that owns it, lives, and cannot start it (ADR 0025).

A person who orders a move looks after it. One that a rule or a rehearsal has ordered would leave the class away until
somebody comes, although the site that it left lives and has everything. So it goes back there, by an ordinary move: the
target stops, saves what it can, and gives its epoch up for ever. Once: the second site that fails keeps it, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.core.operation_facts import Facts, Finish, MoveFacts, TakeBack, Wait
from federation.model.operation import Operation, Step

FAILED = "failed"
LIMITS_S = {FAILED: 300.0, "preparing": 3600.0, "starting": 600.0, "stopping": 600.0, "stopped": 600.0}
"""So long a leader watches a hub in this phase, at the site that owns it, before that counts as unable to start it. A
large class is restored for long; what fails is tried again all the time, so some minutes tell."""
UNSAVED_S = 60.0  # so long the site that could not start it is asked for a copy of what it has


@dataclass(frozen=True, slots=True)
class Watched:
    """Since when a target that owns the hub is seen in this phase. What fails is tried again, so that failing counts from
    its first sight, whatever is seen in between."""

    operation: str
    phase: str
    phase_mono: float
    failed_mono: float | None = None

    @property
    def since_mono(self) -> float:
        """From when on the limit of its phase counts."""
        return self.failed_mono if self.phase == FAILED and self.failed_mono is not None else self.phase_mono

    def look(self, phase: str, now_mono: float) -> Watched:
        """After one more look."""
        failed_mono = now_mono if phase == FAILED and self.failed_mono is None else self.failed_mono
        return Watched(self.operation, phase, self.phase_mono if phase == self.phase else now_mono, failed_mono)


def unable(facts: Facts, known: MoveFacts, owner: str | None) -> TakeBack | Wait | None:
    """What follows from how the target does; None: nothing yet."""
    operation, seen = facts.operation, facts.seen
    if operation.step is not Step.OWNED or not operation.rule or owner != operation.target:
        return None
    if seen is None or not seen.epoch_matches:  # whether it runs there nobody can tell
        return None
    limit_s = LIMITS_S.get(seen.phase)
    if limit_s is None or known.watched_s < limit_s:
        return None
    detail = f": {seen.message}" if seen.message else ""
    reason = f"{owner} could not start it within {limit_s / 60:.0f} min: hub is {seen.phase}{detail}"
    objection = _against(operation, known)
    return Wait(f"{reason}; it is not taken back: {objection}") if objection else TakeBack(reason)


def _against(operation: Operation, known: MoveFacts) -> str:
    if operation.back:
        return f"that was done once already; `fedctl move {operation.name} --to SITE --now` decides"
    if known.objection:
        return f"{operation.target}: {known.objection}"
    return f"{operation.source}: {known.source_objection}" if known.source_objection else ""


def serves_after_all(facts: Facts) -> Finish | None:
    """A way back ends where it began when the hub has started there meanwhile."""
    operation, seen = facts.operation, facts.seen
    if not operation.back or seen is None or not seen.epoch_matches:
        return None
    if seen.phase != "serving" or not seen.gate_open:
        return None
    return Finish(Step.OWNED, f"it stays at {operation.source}: it serves there after all")


def unsaved(operation: Operation, known: MoveFacts) -> bool:
    """Whether a way back goes on without a copy of what the site has that could not start the class. A site copies only
    homes that are whole, so where the restore failed there are none; what there is all the same is owed as unsent."""
    return bool(operation.back and known.copy_problem and known.has_copy and known.in_step_s >= UNSAVED_S)
