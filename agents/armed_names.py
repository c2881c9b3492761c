"""Which hubs of a cluster were armed, on the disk: pods outlive the agent's host, and after its boot nobody would know.

Names alone, for deadlines of another boot mean nothing. Written before the fencer acknowledges, so that nothing is armed
that would be forgotten. Standard library alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from agents.runtime_files import replace


@dataclass(frozen=True, slots=True)
class ArmedNames:
    """In a file of the state directory."""

    path: Path

    def names(self) -> frozenset[str] | None:
        """None: it is not known, as where there is no file yet."""
        try:
            found = json.loads(self.path.read_bytes())
            return frozenset(str(name) for name in found) if isinstance(found, list) else None
        except (OSError, ValueError):
            return None

    def remember(self, names: frozenset[str]) -> None:
        """OSError if that is not possible."""
        replace(self.path, json.dumps(sorted(names)).encode(), durable=True)
        handle = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
