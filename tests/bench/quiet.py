"""Two measurements take turns on one machine: while one of them looks at its clock, the other only waits."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Quiet:
    """One per measurement, all with the same file. Neither is to be asked for inside the other."""

    file: Path

    def busy(self) -> AbstractContextManager[None]:
        """Something is started or ended: several may at a time, and nobody measures meanwhile."""
        return self._held(fcntl.LOCK_SH)

    def measured(self) -> AbstractContextManager[None]:
        """Nobody else is busy."""
        return self._held(fcntl.LOCK_EX)

    @contextmanager
    def _held(self, how: int) -> Iterator[None]:
        with self.file.open("w") as lock:
            fcntl.flock(lock, how)
            yield
