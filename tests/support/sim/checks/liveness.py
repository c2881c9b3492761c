"""(8) After all faults have ended everything comes to its best end within the calm phase, and then stays so."""

from __future__ import annotations

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import Calm, Gate, History, Left, Wish

NAME = "8 liveness"
QUIET_S = 45.0
"""L + the leader's lease + what a takeover under way takes; after that nothing may open, close or change its mode."""


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    calm_s: float | None = None
    for event in history.events:
        late = calm_s is not None and event.at > calm_s + QUIET_S
        match event:
            case Calm():
                calm_s = event.at
            case Left():
                verdict.found(event.at, event.reason, event.hub)
            case Gate() if late:
                text = f"{'opened' if event.open else 'closed'} at {event.site} long after the last fault"
                verdict.found(event.at, text, event.hub, (event.site,))
            case Wish() if late:
                verdict.found(event.at, f"wanted {event.mode} long after the last fault", event.hub, (event.site,))
    return verdict.done(known=history.ended)
