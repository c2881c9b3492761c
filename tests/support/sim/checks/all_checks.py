"""The checkers of PROTOCOL.md section 8, in its numbering. (10) is judged over a campaign: `counts.py`, `campaign.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from tests.support.sim.checks import (
    arming,
    counts,
    epochs,
    homes,
    liveness,
    one_copy,
    outage,
    permission,
    promises,
    renewals,
    stops,
    takeovers,
)
from tests.support.sim.checks.verdict import Verdict, Violation
from tests.support.sim.history import History

CHECKS: tuple[Callable[[History], Verdict], ...] = (
    one_copy.check,
    epochs.check,
    permission.check,
    renewals.check,
    promises.check,
    takeovers.check,
    arming.check,
    homes.check,
    stops.check,
    liveness.check,
    outage.check,
)
DEFECT = "0 defects"


def judge(history: History, crashes: list[str]) -> tuple[list[Violation], Counter[str]]:
    """All violations in order of time, and what was seen. An exception that nobody expected is one, too."""
    verdicts = [check(history) for check in CHECKS]
    found = [violation for verdict in verdicts for violation in verdict.violations]
    found += [Violation(DEFECT, history.events[-1].at if history.events else 0.0, crash) for crash in crashes]
    seen = counts.count(history)
    for verdict in verdicts:
        seen.update(verdict.counts)
    return sorted(found, key=lambda violation: violation.at), seen
