"""Classes that left this site for another one: their names, for as long as somebody may come here by an old answer.

The leader says so in the directive that stops them; it goes with the confirmation that nothing of the hub is left, which
is sooner than the last student with an old answer of the DNS, and may be sooner than the edge is looked at again: so each
directive is noted when it comes. In memory only, and for an hour: what became of a class
later is not known here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from agents.drivers.edges import Departed
from federation.api.v1 import agent_pb2
from federation.runtime.clock import Clock

KEPT_S = 3600.0


@dataclass(slots=True)
class DepartedHubs:
    """`note` what is wanted, when it comes; `look` whenever the edge is told."""

    clock: Clock
    _left: dict[str, tuple[float, Departed]] = field(
        default_factory=dict
    )  # hub -> when it was last said, and its names

    def note(self, wanted: Iterable[agent_pb2.WantedHub]) -> None:
        """Directives that have come, or are still there."""
        now = self.clock.mono()
        for directive in wanted:
            if directive.state == "stopped" and directive.url:
                dns = directive.spec.dns
                self._left[directive.hub] = (now, Departed(directive.hub, (dns.host, *dns.aliases)))
            else:  # it came back, or was retired
                self._left.pop(directive.hub, None)

    def look(self, held: Container[str]) -> tuple[Departed, ...]:
        """Every hub that another site runs, in a fixed order. One that is held here has not left yet, or is here again."""
        now = self.clock.mono()
        self._left = {hub: left for hub, left in self._left.items() if now - left[0] < KEPT_S}
        return tuple(departed for hub, (_at, departed) in sorted(self._left.items()) if hub not in held)
