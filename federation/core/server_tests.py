"""Whether a test server may be started in a class now, when the next one is due, and what a result says.

A login page can be there while no student's server starts. A test server tells, and takes a seat for half a minute: so
few are started, never in class times, and only in a seat of the class itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.model.outlook import FIRM

AHEAD_S = 900.0  # before the class gets ready: what is found then could not be mended by a move any more
AGAIN_S = 120.0  # after a miss that is not sure yet
ONE_S = 10.0  # for one test: with many classes each has its turn more seldom, for a site makes one at a time


@dataclass(frozen=True, slots=True)
class Situation:
    """`meets_within_s`: until the class gets ready for its next time, 0 in it; None: not within a day. `seats`: that the
    class was promised, `servers`: that run. `cordon`: why its site is closed to hubs; empty: it is not."""

    serves: bool
    busy: bool
    draining: bool
    cordon: str
    meets_within_s: float | None
    servers: int
    seats: int


def objection(now: Situation) -> str:
    """Why no test server may be started; empty: one may."""
    if now.busy:
        return "an operation is under way"
    if not now.serves or now.draining:
        return "it does not serve, or lets nobody new in"
    if now.cordon:
        return f"its site is closed to hubs: {now.cordon}"
    if now.meets_within_s is not None and now.meets_within_s <= AHEAD_S:
        return "it meets now or soon: the seats are its students'"
    if now.servers >= now.seats:
        return f"all {now.seats} seats of the class are taken"
    return ""


def next_s(every_s: float, misses: int, hubs: int) -> float:
    """Until the next test of a class, of `hubs` that one coordinator tests."""
    usual = max(every_s, hubs * ONE_S)
    if misses >= FIRM:  # a start that hangs takes the site's only turn for minutes: others have theirs, too
        return usual * 2
    return min(AGAIN_S, usual) if misses else usual


def misses_after(before: int, problem: str) -> int:
    """In a row, this test included; more than FIRM say nothing new."""
    return min(before + 1, FIRM) if problem else 0
