"""(9) While the register is away for however long, and all else is well, nothing stops; and when it is back, nothing is
moved for the silence that was nobody's (DESIGN.md I7, PROTOCOL.md H10, H11)."""

from __future__ import annotations

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import Calm, Gate, History, Hub, StopBegun, TakenOver
from tests.support.sim.history_promises import RegisterAway

NAME = "9 outage"


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    away = after = False
    for event in history.events:
        match event:
            case RegisterAway():
                away = after = True
                verdict.counts["outages"] += 1
            case Calm():
                away = False
            case Gate(open=False) if away:
                verdict.found(event.at, f"closed at {event.site} while the register was away", event.hub, (event.site,))
            case StopBegun() | Hub(up=False) if away:
                verdict.found(event.at, f"ended at {event.site} while the register was away", event.hub, (event.site,))
            case TakenOver() if after:
                text = f"taken over from {event.source}, which was silent as all were"
                verdict.found(event.at, text, event.hub, (event.source, event.target))
    return verdict.done()
