"""(8) After all faults have ended everything comes to its best end within the calm phase, and then stays so.

What a move changes that somebody has ordered is its own business: it waits a minute for a last copy, and must be over in
the end, which is judged by what is left.
"""

from __future__ import annotations

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import Calm, Gate, History, Left, Operation, Wish

NAME = "8 liveness"
QUIET_S = 45.0
"""L + the leader's lease + what a takeover under way takes; after that nothing may open, close or change its mode."""


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    calm_s: float | None = None
    moving: set[str] = set()
    for event in history.events:
        late = calm_s is not None and event.at > calm_s + QUIET_S
        match event:
            case Calm():
                calm_s = event.at
            case Left():
                verdict.found(event.at, event.reason, event.hub)
            case Operation():
                under_way = event.kind == "move" and event.step != "done"
                (moving.add if under_way else moving.discard)(event.hub)
            case Gate() if late and event.hub not in moving:
                text = f"{'opened' if event.open else 'closed'} at {event.site} long after the last fault"
                verdict.found(event.at, text, event.hub, (event.site,))
            case Wish() if late and event.hub not in moving:
                verdict.found(event.at, f"wanted {event.mode} long after the last fault", event.hub, (event.site,))
    return verdict.done(known=history.ended)
