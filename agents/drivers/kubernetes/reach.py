"""Whether a fencer could reach the cluster now, tried every few seconds, whatever else is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from agents.drivers.kubernetes.crew import Crew
from federation.model.errors import DriverError

MS = 1_000_000
EVERY_NS = 2_000 * MS
AGAIN_NS = 1_000 * MS  # after one that failed
BAD_NS = 3_000 * MS  # how long it has to be so before it is said: a moment of silence is no reason to disarm
SILENT = "the cluster's API server does not answer"


@dataclass(slots=True)
class Reach:
    """`attempt` is what ending a hub begins with; it raises DriverError."""

    attempt: Callable[[], object]
    now_ns: Callable[[], int]
    _crew: Crew = field(default_factory=lambda: Crew("reach", 1))
    _under_way: Future[object] | None = None
    _tried_ns: int | None = None
    _bad_since_ns: int | None = None
    _why: str = SILENT

    def trouble(self) -> str:
        """Empty: it could be reached, as far as is known. At once, however long an attempt takes."""
        now = self.now_ns()
        if self._under_way is not None and self._under_way.done():
            self._note(self._under_way, now)
            self._under_way = None
        pace_ns = EVERY_NS if self._bad_since_ns is None else AGAIN_NS
        if self._under_way is None and (self._tried_ns is None or now - self._tried_ns >= pace_ns):
            self._tried_ns = now
            self._under_way = self._crew.submit(self.attempt)
        if self._under_way is not None and self._tried_ns is not None and now - self._tried_ns > BAD_NS:
            return SILENT
        return self._why if self._bad_since_ns is not None and now - self._bad_since_ns >= BAD_NS else ""

    def _note(self, attempt: Future[object], now: int) -> None:
        error = attempt.exception()
        if error is None:
            self._bad_since_ns = None
            return
        self._why = error.message if isinstance(error, DriverError) else repr(error)
        if self._bad_since_ns is None:
            self._bad_since_ns = self._tried_ns if self._tried_ns is not None else now
