"""What the lease file permits, judged as PROTOCOL.md section 4 says: the one reading of the file in Python.

The edge has its own twin of this in JavaScript (`federation/runtime/proxy/gate.mjs`); the contract suite of the edge
runs on both. Nothing here writes the file or remembers anything across processes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from federation.model.identity import Epoch


@dataclass(frozen=True, slots=True)
class Permit:
    """One hub's entry; times are CLOCK_BOOTTIME ns, None means no deadline within this boot."""

    epoch: Epoch
    close_at: int | None
    stop_by: int | None


@dataclass(slots=True)
class Gate:
    """Remembers the newest valid content. A file that is missing, half-written, of another boot or older changes
    nothing: what was permitted goes on exactly as long as its own deadlines say."""

    boot_id: str
    _order: tuple[int, int] = (-1, -1)
    _permits: dict[str, Permit] = field(default_factory=dict)
    _content: bytes = b""

    def take(self, content: bytes | None) -> bool:
        """Read a file's content; True if it was valid and at least as new as what is remembered."""
        if content is None:
            return False
        if content == self._content:
            return True
        try:
            body = json.loads(content)
            order = (_whole(body["incarnation"]), _whole(body["seq"]))
            if body["boot_id"] != self.boot_id or order < self._order:
                return False
            permits = {str(hub): _permit(entry) for hub, entry in body["hubs"].items()}
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return False
        self._order, self._permits, self._content = order, permits, content
        return True

    def is_open(self, hub: str, epoch: Epoch, now_ns: int) -> bool:
        """Whether users may reach the hub at exactly this epoch now."""
        permit = self._permits.get(hub)
        if permit is None or permit.epoch != epoch:
            return False
        return permit.close_at is None or now_ns < permit.close_at


def _permit(entry: dict[str, Any]) -> Permit:
    era, n = entry["epoch"]
    return Permit(Epoch(era=_whole(era), n=_whole(n)), _time(entry["close_at"]), _time(entry["stop_by"]))


def _time(value: object) -> int | None:
    return None if value is None else _whole(value)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"not a whole number: {value!r}")
    return value
