"""What is known about an operation when its next move is decided, and the moves that there are.

The words of `core.operations` (place, retire, failover) and `core.moving` (planned moves), which decide from `Facts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.core.calendar import Window
from federation.core.placement import Choice
from federation.core.takeover import Go, Nothing, Verdict
from federation.model.operation import Operation, Step
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
    draining: bool = False  # it lets nobody new in
    active_servers: int = 0  # students' servers in which somebody did something lately; counted while it drains
    servers: int = 0
    released: bool = False  # the site has given this epoch up for ever, on disk

    @property
    def closed(self) -> bool:
        """Nothing of the hub runs there, and nobody is let in."""
        return self.phase == "stopped" and not self.processes and not self.gate_open


@dataclass(frozen=True, slots=True)
class MoveFacts:
    """What a planned move depends on besides. `objection`: why the target cannot take the hub now; empty: it can.
    `source_objection`: why the source could not take it back. `no_more`: why the rule that ordered it would not do so
    now. `meeting`: the class time that it is in, if any.
    `in_step_s`: since the last step was finished. `watched_s`: for so long this leader has looked at a target that owns
    the hub and is to start it; then `objection` says why that does not live, if it does not. `lasting`: there are homes
    to copy. `copied`: the copy on record is the one that the site says it made after the hub had stopped for the last
    time. `nothing`: the site says that it never restored the homes, so that there is nothing of it to copy.
    `copy_problem`: why the last attempt at it failed."""

    objection: str = ""
    source_objection: str = ""
    no_more: str = ""
    meeting: Window | None = None
    in_step_s: float = 0.0
    watched_s: float = 0.0
    lasting: bool = True
    has_copy: bool = True
    copied: bool = False
    nothing: bool = False
    copy_problem: str = ""


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
    move: MoveFacts | None = None  # of a planned move


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


@dataclass(frozen=True, slots=True)
class Release:
    """The owner has given its epoch up and said so: nobody owns the hub now."""

    message: str


@dataclass(frozen=True, slots=True)
class Acquire:
    """Make `site` the owner of a released hub at the next epoch."""

    site: str
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """The move is given up: the owner stays, at the next epoch, for it may have given up this one already (H8)."""

    reason: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """The target owns the hub and cannot start it, for this reason: a move in the other direction takes its place."""

    reason: str


Move = (
    Assign
    | LookAtCopies
    | TakeOver
    | Withdraw
    | End
    | Confirm
    | Finish
    | Probe
    | Name
    | Unname
    | Wait
    | Release
    | Acquire
    | Keep
    | TakeBack
)
