"""Classes that left this site for another one: their names, for as long as somebody may come here by an old answer.

The leader says so in the directive that stops them; it goes with the confirmation that nothing of the hub is left, which
is sooner than the last student with an old answer of the DNS. In memory only, and for an hour: what became of a class
later is not known here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from agents.drivers.base import Departed
from federation.api.v1 import agent_pb2
from federation.runtime.clock import Clock

KEPT_S = 3600.0


@dataclass(slots=True)
class DepartedHubs:
    """`look` keeps itself up to date with what is wanted and held."""

    clock: Clock
    _left: dict[str, tuple[float, Departed]] = field(
        default_factory=dict
    )  # hub -> when it was last said, and its names

    def look(self, wanted: Mapping[str, agent_pb2.WantedHub], held: Container[str]) -> tuple[Departed, ...]:
        """Every hub that another site runs, in a fixed order. One that is held here again has not left."""
        now = self.clock.mono()
        for hub, directive in wanted.items():
            if directive.state == "stopped" and directive.url:
                dns = directive.spec.dns
                self._left[hub] = (now, Departed(hub, (dns.host, *dns.aliases)))
        self._left = {h: left for h, left in self._left.items() if h not in held and now - left[0] < KEPT_S}
        return tuple(departed for _hub, (_at, departed) in sorted(self._left.items()))
