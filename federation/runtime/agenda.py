"""Keys and when each is due; the soonest first. All costs are logarithmic in how many there are: a coordinator has a
loop for each of its concerns, and thousands of hubs in each.
"""

from __future__ import annotations

import heapq


class Agenda:
    """A time per key, in seconds of any one clock. A key that is set again has only its new time."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # also holds times that are no longer true: `_due` decides

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: str, at: float) -> None:
        """`key` is due then."""
        if self._due.get(key) != at:
            self._due[key] = at
            heapq.heappush(self._heap, (at, key))

    def add(self, key: str, at: float) -> None:
        """As `set`, for a key that has no time yet."""
        if key not in self._due:
            self.set(key, at)

    def soonest(self) -> float | None:
        """When the next one is due; None: there is none."""
        while self._heap:
            at, key = self._heap[0]
            if self._due.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def take(self, now: float, most: int) -> list[str]:
        """Removes and returns the keys that are due, at most so many: by time, equal times by name."""
        taken: list[str] = []
        while len(taken) < most:
            at = self.soonest()
            if at is None or at > now:
                break
            key = heapq.heappop(self._heap)[1]
            del self._due[key]
            taken.append(key)
        return taken
