"""What the site's fencer says of itself: the file that it alone writes, read by the agent (PROTOCOL.md section 4).

Without a fresh word of the fencer no armed lease is extended, and none is asked for: a lease whose end nobody enforces
would let a hung agent run a second copy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from federation.runtime.clock import Clock
from federation.runtime.disk import Disk

FRESH_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Ack:
    """The newest lease file that the fencer has taken, and when it last looked (CLOCK_BOOTTIME ns). `newest`: no file with
    a lower (incarnation, seq) is believed, for a fencer before this one may have taken a newer one. `blind`: why it could
    end nothing now; empty: it could."""

    incarnation: int
    seq: int
    at_ns: int
    newest: tuple[int, int]
    blind: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Of the file whose deadlines this fencer enforces."""
        return self.incarnation, self.seq


@dataclass(frozen=True, slots=True)
class FencerAcks:
    """Reads `ack.json` beside the lease file."""

    path: Path
    disk: Disk
    clock: Clock

    def newest(self) -> Ack | None:
        """The fencer's word if it is fresh; None: no fencer looks after this site now."""
        ack = self.last()
        fresh = ack is not None and 0 <= self.clock.boottime_ns() - ack.at_ns <= FRESH_NS
        return ack if fresh else None

    def last(self) -> Ack | None:
        """What a fencer of this boot has said last, however long ago."""
        content = self.disk.read(self.path)
        if content is None:
            return None
        try:
            body = json.loads(content)
            order = (int(body["incarnation"]), int(body["seq"]))
            first, second = body.get("newest", order)
            ack = Ack(*order, int(body["at"]), (int(first), int(second)), str(body.get("blind", "")))
            same_boot = body["boot_id"] == self.clock.boot_id()
        except (ValueError, KeyError, TypeError):
            return None
        return ack if same_boot else None
