"""When the homes of a hub are copied next, and whether the newest copy is fresh enough to move it (DESIGN.md 4.5).

Copies are made while the class works, and once more soon after its last server stopped. Times are seconds; the age of a
copy counts from when its run began: what was written after that is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

AFTER_USE_S = 3.0
QUIET_EVERY = 4.0  # a class that nobody uses is copied so many times less often
STALE = 2.0  # times `every`: a copy that is older does not protect
SLACK_S = 120.0  # for the run itself, and for waiting behind others
FIRST_REST_S, MOST_REST_S = 1.0, 300.0


@dataclass(frozen=True, slots=True)
class CopyFacts:
    """`every_s`: storage.protect.every. `age_s`: of the newest copy that is authoritative now, None: there is none.
    `used`: students' servers run. `used_since_copy`: some ran since that copy began. `idle_s`: since the last one
    stopped, None while one runs or none ever ran."""

    every_s: float
    age_s: float | None
    used: bool
    used_since_copy: bool
    idle_s: float | None


def due_in(facts: CopyFacts) -> float:
    """Seconds until the next copy; 0 or less: now."""
    if facts.age_s is None:
        return 0.0
    pace_s = facts.every_s if facts.used or facts.used_since_copy else facts.every_s * QUIET_EVERY
    wait_s = pace_s - facts.age_s
    if not facts.used and facts.used_since_copy and facts.idle_s is not None:
        wait_s = min(wait_s, AFTER_USE_S - facts.idle_s)
    return wait_s


def stale_after(every_s: float, *, used_since_copy: bool) -> float:
    """So old the newest copy may be and still protect: with nobody working nothing is missing from it."""
    return (every_s if used_since_copy else every_s * QUIET_EVERY) * STALE + SLACK_S


def rest_s(misses: int, every_s: float) -> float:
    """For so long a site is not asked again for a copy that it has refused so many times in a row: it may be one that makes
    none, or whose store is away. No longer than a fresh copy can wait for."""
    return min(FIRST_REST_S * 2.0 ** min(misses - 1, 16), MOST_REST_S, every_s / 2)


def urgency_of(facts: CopyFacts) -> float:
    """Who is copied first where a site may make few copies at a time: lower is first."""
    return due_in(facts) / max(facts.every_s, 1.0)
