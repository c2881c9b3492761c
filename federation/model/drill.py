"""Drills: rehearsed failovers. A class is moved to its standby and back, and what an outage would have cost is kept."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from federation.model.operation import StepRecord
from federation.model.schema import Document, Model

MOST_KEPT = 20  # drills per class; the oldest go


class Outcome(StrEnum):
    PASSED = "passed"  # it served at the standby under its name, and is back
    FAILED = "failed"  # it was under way, and one of its steps could not be done
    GIVEN_UP = "given-up"  # it could not begin within an hour of its time
    CANCELLED = "cancelled"  # by a person, before it began


class Costs(Model):
    """Seconds. `lease_s` is L of the profile, arithmetic; `serve_s` was measured, from owned at the standby to named
    there; `rto_s` is their sum. `rpo_s`: the age that the recorded copy had when the hub had stopped, so the most that an
    outage in that moment would have lost; None: no homes are kept. `away_s`, `away_back_s`: how long students could not
    reach the class on the way there and back, from the beginning of the stop until it was named again."""

    lease_s: float
    serve_s: float | None = None
    rto_s: float | None = None
    rpo_s: float | None = None
    away_s: float | None = None
    away_back_s: float | None = None


class Drill(Model):
    """One rehearsal, from its order to its record. `unarmed`: why a takeover would not have come by itself when it began,
    which was accepted. `there`, `back`: the finished steps of the two moves. All times are of leaders' clocks."""

    id: str
    actor: str
    ordered: AwareDatetime
    at: AwareDatetime  # when it is to begin
    now: bool = False  # also in a meeting, or shortly before one; students who work are not waited for
    anyway: bool = False  # also while the class is not armed
    drain_s: float = 0.0  # how long students who work are waited for, each way
    waiting_for: str = ""
    began: AwareDatetime | None = None
    source: str = ""
    target: str = ""
    unarmed: tuple[str, ...] = ()
    there: tuple[StepRecord, ...] = ()
    back: tuple[StepRecord, ...] = ()
    copied: AwareDatetime | None = None  # when the copy was taken that was on record before the final one
    outcome: Outcome | None = None
    reason: str = ""  # why not passed
    ended: AwareDatetime | None = None
    costs: Costs | None = None


class Drills(Document):
    """Key `drill/<uid>`: the drill that is ordered or under way, and those that are over, oldest first."""

    hub: str
    running: Drill | None = None
    history: tuple[Drill, ...] = ()

    def recorded(self, drill: Drill) -> Drills:
        """With `drill` over; of the others the newest are kept."""
        return self.revise(running=None, history=(*self.history, drill)[-MOST_KEPT:])
