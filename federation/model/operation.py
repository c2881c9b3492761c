"""Operations: recorded multi-step changes, resumable at every step (DESIGN.md section 2)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from federation.model.schema import Document, Model


class OperationKind(StrEnum):
    PLACE = "place"
    RETIRE = "retire"
    FAILOVER = "failover"
    MOVE = "move"


class Step(StrEnum):
    """The last *finished* step. What comes next is decided by `federation.core.operations` alone."""

    ADMITTED = "admitted"  # spec accepted and durable: place has returned
    ASSIGNED = "assigned"  # a site owns the hub at a new epoch
    OWNED = "owned"  # failover: the standby owns the hub at a higher epoch
    CHECKED = "checked"  # move: the target can take the hub; it lets nobody new in from now on
    DRAINED = "drained"  # move: nobody works, or the limit is over; the hub is stopped from now on
    COPIED = "copied"  # move: the final copy is on record; the site gives the hub up from now on
    RELEASED = "released"  # move: the site has given its epoch up for ever; nobody owns the hub
    STARTED = "started"  # the agent reports the hub serving at that epoch and generation
    VERIFIED = "verified"  # the login page was seen through the site's edge
    NAMED = "named"  # the name leads there, seen from outside
    CLOSED = "closed"  # ownership ended with a tombstone
    STOPPED = "stopped"  # the agent verified that nothing of the hub runs
    UNNAMED = "unnamed"  # the name is gone
    DONE = "done"


class StepRecord(Model):
    """One finished step and when."""

    step: Step
    at: AwareDatetime
    message: str = ""


class Operation(Document):
    """Key `op/<uid>`: the newest operation on a hub. Side effects are keyed (hub, epoch, step)."""

    id: str
    kind: OperationKind
    hub: str
    name: str
    generation: int
    step: Step = Step.ADMITTED
    history: tuple[StepRecord, ...] = ()
    waiting_for: str = ""
    error: str = ""
    created: AwareDatetime
    actor: str
    delete_homes: bool = False
    now: bool = False  # a change that restarts the hub does not wait for the end of a meeting
    source: str = ""  # failover: the silent site; move: the owner
    target: str = ""  # move: where to
    reason: str = ""  # move, forced failover: what the person who ordered it said, or which rule ordered it
    drain_s: float = 0.0  # move: how long students who work are waited for
    accept_loss: bool = False  # move, forced failover: go on with an older copy if no newer one can be had
    forced: bool = False  # failover: a person vouches that nothing of the hub runs at the source
    cancelled: str = ""  # move: why it is to be given up
    counted: int = 0  # failover: the register revision of its lease with which this began; another one: it lives.
    # move: that of the target's lease when the hub had stopped: it has to renew before anything is given up
    copied: AwareDatetime | None = None  # move: of when the copy on record was when the hub had stopped
    rule: bool = False  # move: ordered by a rule, not by a person who would look after it
    unseen: bool = False  # move: ordered by itself, because other places do not see the class
    drill: str = ""  # move: the rehearsal that it is a half of
    back: str = ""  # move: why the class is taken back from a site that owned it and could not start it
    home: str = ""  # move: what the hub's record named as its home before the target took it
    interrupted: Operation | None = None  # failover: what was under way; it goes on if the failover is withdrawn.
    # way back: the move whose target could not start the class

    @property
    def done(self) -> bool:
        """True when nothing is left to do."""
        return self.step is Step.DONE

    @property
    def relocates(self) -> bool:
        """True for a move that a rule ordered for no need of the class: it waits for students, and gives way to them."""
        return self.rule and not (self.unseen or self.drill or self.back)

    @property
    def event(self) -> str:
        """How the types of its events begin: what moves by itself is told to other people than what a person moves."""
        return "unseen" if self.unseen else self.kind.value

    def finished(self, step: Step, at: AwareDatetime, message: str = "") -> Operation:
        """The operation with `step` recorded; reasons for waiting and old errors are gone."""
        record = StepRecord(step=step, at=at, message=message)
        return self.revise(step=step, history=(*self.history, record), waiting_for="", error="")
