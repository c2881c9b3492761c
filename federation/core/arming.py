"""When a hub is armed: decided in each renewal, from the leader's wish and what the site says of itself (PROTOCOL.md H15).

An *armed* hub may be served until send time + D, and its site's silence is enough to move it. A *standing* hub runs on
in silence, and nothing but an operator can move it. Arming counts only from the renewal in which the site says that it
heard the first armed grant of the run; disarming counts at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.model.ownership import ArmedRun, Mode, Owned, WantedMode


@dataclass(frozen=True, slots=True)
class Renewing:
    """What a renewal says of its site. `fenced`: the newest answer that the agent processed and whose deadlines the fencer
    has taken. `armable`: the fencer answers, and it and the gate were proven on a canary."""

    incarnation: int
    seq: int
    fenced: int
    armable: bool


def next_run(owned: Owned, wanted: WantedMode | None, renewing: Renewing) -> ArmedRun | None:
    """The hub's armed run after this renewal; None: standing. A standing grant ends a run, so that a later one starts
    with nothing heard (H15 b). Once heard, a run keeps it, also over a restart of the agent (H15 d)."""
    wish = wanted is not None and wanted.mode is Mode.ARMED and wanted.epoch == owned.epoch
    if not (wish and renewing.armable):
        return None
    run = owned.armed
    if run is None:
        return ArmedRun(incarnation=renewing.incarnation, seq=renewing.seq)
    if not run.heard and run.is_heard_by(renewing.incarnation, renewing.fenced):
        return run.revise(heard=True)
    return run
