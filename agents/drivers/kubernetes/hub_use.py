"""Whether anybody may have worked in a hub since, as one number that is another then. Pure, but for what it remembers.

A server that has ended was worked in until then, and one that has started will be: each change of what runs makes another
number, and none of before comes again. An agent that was started anew begins with what runs: at most that costs a copy.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """`running`: names the servers that ran when it was looked last."""

    running: int
    number: int


@dataclass(slots=True)
class HubUse:
    """Of all hubs of a site."""

    _seen: dict[str, Seen] = field(default_factory=dict)

    def number(self, hub: str, running: int) -> int:
        """After a look."""
        before = self._seen.get(hub, Seen(running, running))
        changed = before.running != running
        number = zlib.crc32(f"{before.number} {running}".encode()) if changed else before.number
        self._seen[hub] = Seen(running, number)
        return number
