"""Which hubs are moved by a rule: away from a drained site, and back to the site that lost them (DESIGN.md 4.4).

Both are planned moves: nothing is moved inside a class or shortly before one, nor under a student where the class's file
forbids it (I8). Failback waits until its site has been well for a stabilisation time, so that a site that comes and goes
does not pull its classes there and back again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from federation.model.classroom_running import Movable

SYSTEM_DRAIN_S = 900.0  # so long students who work are waited for
AGAIN_S = 1800.0  # a class that was stopped for a move that came to nothing is not stopped again at once
AFTER_BACK_S = 6 * 3600.0  # nor one that came back from a site that could not start it
AHEAD_S = 3600.0  # a class that meets within this is left where it is


@dataclass(frozen=True, slots=True)
class HubThere:
    """`drained`: why its site is emptied; empty: it is not. `home`: the site that lost it to a takeover. `busy`: an
    operation is under way. `meets_within_s`: until its next class time, 0 in one; None: none within a day."""

    site: str
    drained: str
    home: str | None
    home_well_s: float | None  # None: it is not well now, or closed to hubs
    movable: Movable
    servers: int
    meets_within_s: float | None
    busy: bool = False
    given_up_s: float | None = None  # since a move from here was given up; None: none was
    taken_back_s: float | None = None  # since it was taken back here from a site that could not start it


@dataclass(frozen=True, slots=True)
class Policy:
    """`failback_s`: so long the home must have been well; None: nothing is moved back by itself."""

    failback_s: float | None = None


@dataclass(frozen=True, slots=True)
class Relocate:
    """Order a planned move. `to` empty: to the standby. `patient`: students who work are waited for."""

    to: str
    reason: str
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Stay:
    """It stays for now; `reason` empty: nothing asks for a move."""

    reason: str = ""


def relocate(hub: HubThere, policy: Policy) -> Relocate | Stay:
    """What a rule says of one hub now."""
    if hub.drained:
        wanted = Relocate("", f"{hub.site} is drained: {hub.drained}")
    elif hub.home is not None and hub.home != hub.site and policy.failback_s is not None:
        if hub.home_well_s is None:
            return Stay(f"back to {hub.home} when that is well")
        if hub.home_well_s < policy.failback_s:
            left_min = (policy.failback_s - hub.home_well_s) / 60
            return Stay(f"back to {hub.home} if that stays well for {left_min:.0f} min more")
        wanted = Relocate(hub.home, f"back to {hub.home}, which has been well for {hub.home_well_s / 60:.0f} min")
    else:
        return Stay()
    objection = _not_now(hub)
    return Stay(f"{wanted.reason}; {objection}") if objection else wanted


def no_more(hub: HubThere, target: str) -> str:
    """Why a move to `target` that a rule has ordered is not to stop the class any more; empty: it may. It may have waited
    for its target for hours, and what spoke for it then is looked at again."""
    if not hub.drained and hub.home != target:
        return "nothing asks for it any more"
    return _not_now(replace(hub, busy=False, given_up_s=None, taken_back_s=None))


def _not_now(hub: HubThere) -> str:
    if hub.busy:
        return "another operation is under way"
    if hub.given_up_s is not None and hub.given_up_s < AGAIN_S:
        return f"a move was given up {hub.given_up_s / 60:.0f} min ago; the next is tried after half an hour"
    if hub.taken_back_s is not None and hub.taken_back_s < AFTER_BACK_S:
        hours = AFTER_BACK_S / 3600
        return f"it was taken back {hub.taken_back_s / 60:.0f} min ago; the next move is tried after {hours:.0f} hours"
    if hub.movable is Movable.NEVER:
        return "placement.movable is never: only `fedctl move --now` moves it"
    if hub.meets_within_s is not None and hub.meets_within_s <= AHEAD_S:
        return "it meets now or soon"
    if hub.movable is Movable.IDLE and hub.servers:
        return f"{hub.servers} students' servers run, and placement.movable is idle"
    return ""
