"""Many seeds: run, judge, count, and say of a violation what happened and how to see it again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from dataclasses import fields as fields_of

from tests.support.sim.checks.all_checks import judge
from tests.support.sim.checks.verdict import Violation
from tests.support.sim.history import (
    Acked,
    Answered,
    Event,
    Fault,
    History,
    Journaled,
    Leased,
    LeaseFile,
    LeasesRead,
    RenewalSent,
)
from tests.support.sim.history_homes import Worked
from tests.support.sim.history_promises import Promised, PromiseHeard, RoundBegun
from tests.support.sim.run import Outcome, simulate
from tests.support.sim.schedule import Schedule, draw

BEFORE_S, MOST_LINES = 30.0, 60
ROUTINE = (
    *(Acked, RenewalSent, Answered, LeaseFile, Journaled, Leased, LeasesRead),
    *(Worked, Promised, PromiseHeard, RoundBegun),
)


@dataclass(slots=True)
class Result:
    """What came of one seed."""

    seed: int
    violations: list[Violation]
    counts: Counter[str]
    report: str = ""


@dataclass(slots=True)
class Campaign:
    """The sum over seeds."""

    seeds: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bad: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.counts.update(result.counts)
        if result.violations:
            self.bad.append(result)


def run_seed(seed: int) -> Result:
    """Simulate and judge; a readable report if something is wrong. A run whose set-up does not come to an end in fair
    weather has found something as well."""
    try:
        return run_schedule(draw(seed))
    except TimeoutError:
        stuck = Violation("8 liveness", 0.0, "the set-up did not come to its end in fair weather")
        report = (
            f"seed {seed}: {stuck.text}\n  replay: make sim SEEDS=1 FIRST={seed}    (SIM_LOG=1 shows every log line)"
        )
        return Result(seed, [stuck], Counter(), report)


def run_schedule(schedule: Schedule) -> Result:
    outcome = simulate(schedule)
    violations, counts = judge(outcome.history, outcome.crashes)
    report = describe(outcome, violations[0]) if violations else ""
    return Result(schedule.seed, violations, counts, report)


def shows(schedule: Schedule, invariant: str) -> bool:
    """Whether a run violates this invariant (its number is enough)."""
    outcome = simulate(schedule)
    violations, _ = judge(outcome.history, outcome.crashes)
    return any(v.invariant.split()[0] == invariant.split(maxsplit=1)[0] for v in violations)


def shrink(schedule: Schedule, invariant: str) -> Schedule:
    """Leave out troubles one by one as long as the invariant is still violated."""
    for trouble in schedule.troubles:
        smaller = schedule.without(trouble)
        if shows(smaller, invariant):
            schedule = smaller
    return schedule


def describe(outcome: Outcome, violation: Violation) -> str:
    """The violation, the troubles, and what happened to its hub and sites shortly before."""
    schedule, hub = outcome.schedule, f" ({violation.hub})" if violation.hub else ""
    lines = [
        f"seed {schedule.seed} violates invariant {violation.invariant} at {violation.at:.3f} s{hub}: {violation.text}",
        f"  sites {' '.join(schedule.sites)}, coordinators {' '.join(schedule.coordinators)}; troubles:",
        *(f"    {trouble}" for trouble in schedule.troubles),
        "  what happened:",
        *excerpt(outcome.history, violation),
        f"  replay: make sim SEEDS=1 FIRST={schedule.seed}    (SIM_LOG=1 shows every log line)",
    ]
    return "\n".join(lines)


def excerpt(history: History, violation: Violation) -> list[str]:
    """Events of the violation's hub and of faults, without the routine of renewals."""
    since = violation.since if violation.since is not None else violation.at - BEFORE_S
    found = [
        event
        for event in history.events
        if since <= event.at <= violation.at + 1.0 and not isinstance(event, ROUTINE) and _concerns(event, violation)
    ]
    lines = [f"    {event.at:9.3f} {type(event).__name__:12} {_words(event)}" for event in found]
    return lines[-MOST_LINES:]


def _concerns(event: Event, violation: Violation) -> bool:
    if isinstance(event, Fault):
        return True
    hub, site = getattr(event, "hub", ""), getattr(event, "site", "")
    return not hub or not violation.hub or hub == violation.hub or (not hub and site in violation.sites)


def _words(event: Event) -> str:
    values = [(f.name, getattr(event, f.name)) for f in fields_of(event) if f.name != "at"]
    return " ".join(f"{name}={value:.3f}" if isinstance(value, float) else f"{name}={value}" for name, value in values)
