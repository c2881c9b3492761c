"""(10) Vacuity: what a campaign must have seen, or its verdicts mean nothing."""

from __future__ import annotations

from collections import Counter

from tests.support.sim.history import ARMED, Answered, Elected, Gate, History, Leased, Note, Operation, Run, Wish

NEEDED = (
    "takeovers",
    "refused takeovers",
    "withdrawn failovers",
    "freezes",
    "deaf answers",
    "late answers",
    "armed runs heard",
    "disarms",
    "lapses",
    "stops after a lapse",
    "stops after evidence",
    "elections",
    "moves",
    "moves turned round",
    "promises",
    "refused promises",
    "extensions by promises",
    "served on by promises",
    "outages",
    "works unsent",
    "restores",
)


def count(history: History) -> Counter[str]:  # noqa: C901 - one table
    """What happened in one run."""
    seen: Counter[str] = Counter()
    wanted: dict[tuple[str, str], str] = {}
    last: dict[str, str] = {}  # hub -> the step of its move
    for event in history.events:
        match event:
            case Elected():
                seen["elections"] += 1
            case Answered(granted=False):
                seen["deaf answers"] += 1
            case Answered(late=True):
                seen["late answers"] += 1
            case Leased(deaf=True):
                seen["deaf renewals"] += 1
            case Run(armed=True, heard=True):
                seen["armed runs heard"] += 1
            case Wish():
                if wanted.get((event.site, event.hub)) == ARMED and event.mode != ARMED:
                    seen["disarms"] += 1
                wanted[event.site, event.hub] = event.mode
            case Note(type="failover.withdrawn"):
                seen["withdrawn failovers"] += 1
            case Note(type="failover.frozen"):
                seen["freezes"] += 1
            case Operation(kind="move", step=step) if step != last.get(event.hub):
                seen["moves"] += step == "released"
                seen["moves turned round"] += step == "owned" and last.get(event.hub) != "released"
                last[event.hub] = step
            case Gate(open=False):
                seen["lapses"] += 1
    return seen


def missing(seen: Counter[str]) -> list[str]:
    """What a campaign never met."""
    return [what for what in NEEDED if not seen[what]]
