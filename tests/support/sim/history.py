"""What truly happened in one simulated run, with the simulator's own time: what the checkers of PROTOCOL.md section 8 read.

Nothing here is taken from logs or from what a process believes: gates and hubs are the machine's truth, leases and
owners are what the register committed, and clocks are those of the host that is meant. `at` is true time in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Pair = tuple[int, int]
ARMED, STANDING = "armed", "standing"


@dataclass(frozen=True, slots=True)
class Event:
    at: float


@dataclass(frozen=True, slots=True)
class Gate(Event):
    """Users can, or can no longer, reach a hub that is up at this site. `own_s`: the site's clock."""

    site: str
    hub: str
    epoch: Pair
    open: bool
    own_s: float


@dataclass(frozen=True, slots=True)
class Hub(Event):
    """Processes of the hub run, or none are left. `cause` of an end: stop (the agent), fenced, reboot, fault."""

    site: str
    hub: str
    epoch: Pair
    up: bool
    cause: str
    own_s: float


@dataclass(frozen=True, slots=True)
class StopBegun(Event):
    """The agent began to stop a hub: what counts is whether it had a reason at this moment."""

    site: str
    hub: str
    epoch: Pair
    own_s: float


@dataclass(frozen=True, slots=True)
class Grant:
    """What one answer says of one hub."""

    epoch: Pair
    mode: str


@dataclass(frozen=True, slots=True)
class RenewalSent(Event):
    site: str
    incarnation: int
    seq: int
    own_s: float


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """An answer to a renewal reached the site's agent."""

    site: str
    incarnation: int
    seq: int
    granted: bool
    grants: Mapping[str, Grant]
    revoked: Mapping[str, Pair]
    late: bool = False  # it is the answer to an earlier question


@dataclass(frozen=True, slots=True)
class LeaseFile(Event):
    """The lease file as the agent wrote it: hub -> (epoch, close_at, stop_by), times by the site's clock or None."""

    site: str
    own_s: float
    incarnation: int
    seq: int
    permits: Mapping[str, tuple[Pair, float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Rebooted(Event):
    """Nothing that was granted before counts any more. `own_s`: by the clock that ended with the boot before."""

    site: str
    own_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MachinePause(Event):
    """A whole machine stopped or went on, its clock too: no L covers that (PROTOCOL.md section 5)."""

    site: str
    paused: bool


@dataclass(frozen=True, slots=True)
class WentOn(Event):
    """A process that had hung, e.g. `agent-iu`, goes on where it was."""

    process: str


@dataclass(frozen=True, slots=True)
class FileLost(Event):
    site: str


@dataclass(frozen=True, slots=True)
class FencerStarted(Event):
    site: str
    own_s: float


@dataclass(frozen=True, slots=True)
class Journaled(Event):
    """The agent's journal as it was written; `lost`: a fault took it away."""

    site: str
    floor: Mapping[str, Pair]
    ended: Mapping[str, Pair]
    lost: bool = False
    released: Mapping[str, Pair] = field(default_factory=dict)
    accepted: Mapping[str, Pair] = field(default_factory=dict)
    members: frozenset[tuple[str, str]] = frozenset()  # (site, uid) that it acknowledges


@dataclass(frozen=True, slots=True)
class Leased(Event):
    """The register committed a renewal."""

    site: str
    incarnation: int
    seq: int
    heard: int
    revision: int
    deaf: bool = False


@dataclass(frozen=True, slots=True)
class Started(Event):
    """An agent drew its incarnation."""

    site: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Acked(Event):
    """The fencer wrote that it has taken a lease file; on change."""

    site: str
    order: Pair


@dataclass(frozen=True, slots=True)
class Run(Event):
    """The register's `own/<site>/<hub>` changed: `armed` and `heard` as of now; `epoch` None: it is gone."""

    site: str
    hub: str
    epoch: Pair | None
    armed: bool = False
    heard: bool = False
    since: Pair = (0, 0)  # (incarnation, seq) of the renewal since which it is armed
    renewed: bool = True  # the same transaction renewed the site's lease


@dataclass(frozen=True, slots=True)
class Wish(Event):
    """The leader's wish for a hub changed."""

    site: str
    hub: str
    mode: str


@dataclass(frozen=True, slots=True)
class Owner(Event):
    """The register's record of the hub's owner changed."""

    hub: str
    owner: str
    epoch: Pair
    tombstone: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Elected(Event):
    by: str
    own_s: float


@dataclass(frozen=True, slots=True)
class LeasesRead(Event):
    """A coordinator was given all leases. Times by its own clock; `revisions` by site."""

    by: str
    sent_s: float
    own_s: float
    revisions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TakenOver(Event):
    """A takeover was committed. `sent_s`: when its leader sent it, by its own clock; `counted`: the lease revision that
    the transaction compared, 0: none; `lease`: the lease's revision as it was."""

    by: str
    hub: str
    source: str
    target: str
    epoch: Pair
    sent_s: float
    counted: int
    lease: int
    heard: bool
    target_lease_s: float  # true seconds since the target's newest lease
    members_ack: int
    target_since: int


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """A takeover was sent and the register refused it."""

    by: str
    hub: str


@dataclass(frozen=True, slots=True)
class NameWritten(Event):
    host: str
    hub: str
    epoch: Pair
    target: str


@dataclass(frozen=True, slots=True)
class Retired(Event):
    hub: str


@dataclass(frozen=True, slots=True)
class Operation(Event):
    hub: str
    kind: str
    step: str


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Something of an event's `type` in the register, e.g. failover.frozen."""

    hub: str
    type: str


@dataclass(frozen=True, slots=True)
class Fault(Event):
    text: str


@dataclass(frozen=True, slots=True)
class Calm(Event):
    """All faults have ended."""


@dataclass(frozen=True, slots=True)
class Left(Event):
    """At the end of the calm phase: why a hub is not served as it should be; one for each."""

    hub: str
    reason: str


@dataclass(slots=True)
class Times:
    """The profile's times that the checkers need, in seconds."""

    contact_s: float
    fence_s: float
    fencer_s: float
    takeover_s: float
    renew_s: float


@dataclass(slots=True)
class History:
    times: Times
    events: list[Event] = field(default_factory=list)
    ended: bool = False  # the run came to its end; else some verdicts are unknown

    def add(self, event: Event) -> None:
        if not self.ended:  # what the dead do while their world is taken down is no history
            self.events.append(event)
