"""Whose turn it is where only a few can go at once, and all of them ask again and again: the most urgent one that still
asks goes first. One that stops asking (retired, moved, or done by somebody else) keeps nobody waiting for long.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

SPARE = 16


@dataclass(slots=True)
class Turns:
    """Of one place. `patience_s`: who has not asked for so long does not ask any more."""

    patience_s: float
    _asked: dict[str, tuple[float, str, float]] = field(default_factory=dict)  # name -> urgency, name, when
    _heap: list[tuple[float, str, float]] = field(default_factory=list)  # these, and some that are no longer true

    def ask(self, name: str, urgency: float, now_mono: float) -> bool:
        """Whether nobody who asks is more urgent (a smaller number)."""
        entry = self._asked[name] = (urgency, name, now_mono)
        heapq.heappush(self._heap, entry)
        while not self._stands(self._heap[0], now_mono):
            heapq.heappop(self._heap)
        if len(self._heap) > 2 * len(self._asked) + SPARE:
            self._asked = {who: asked for who, asked in self._asked.items() if self._stands(asked, now_mono)}
            self._heap = list(self._asked.values())
            heapq.heapify(self._heap)
        return self._heap[0][0] >= urgency

    def done(self, name: str) -> None:
        """It has had its turn."""
        self._asked.pop(name, None)

    def _stands(self, entry: tuple[float, str, float], now_mono: float) -> bool:
        return self._asked.get(entry[1]) == entry and now_mono - entry[2] < self.patience_s
