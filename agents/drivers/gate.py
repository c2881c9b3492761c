"""What the lease file permits users, judged as PROTOCOL.md section 4 says; the fencer judges what may run.

The edge has its own twin of this in JavaScript (`federation/runtime/proxy/gate.mjs`); the contract suite of the edge
runs on both. Nothing here writes the file or remembers anything across processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.core.lease_file import Pair, Permit, read_lease
from federation.model.identity import Epoch


@dataclass(slots=True)
class Gate:
    """Remembers the newest valid content. A file that is missing, half-written, of another boot or older changes
    nothing: what was permitted goes on exactly as long as its own deadlines say."""

    boot_id: str
    _order: Pair = (-1, -1)
    _permits: Mapping[str, Permit] = field(default_factory=dict)
    _content: bytes = b""

    def take(self, content: bytes | None) -> bool:
        """Read a file's content; True if it was valid and at least as new as what is remembered."""
        if content is None:
            return False
        if content == self._content:
            return True
        try:
            file = read_lease(content)
        except ValueError:
            return False
        if file.boot_id != self.boot_id or file.order < self._order:
            return False
        self._order, self._permits, self._content = file.order, file.permits, content
        return True

    def is_open(self, hub: str, epoch: Epoch, now_ns: int) -> bool:
        """Whether users may reach the hub at exactly this epoch now."""
        permit = self._permits.get(hub)
        if permit is None or permit.epoch != (epoch.era, epoch.n):
            return False
        return permit.close_at is None or now_ns < permit.close_at
