"""Of which hubs it is known that nothing runs. Pure.

That something runs may be told by a watch, which is late by a moment. That nothing runs is believed of the API server
alone, for on it the federation lets another site begin (I1). A direct look that found nothing holds until the hub is
started again: watching then shows whatever else may have started something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Absences:
    """Looks and starts may overlap: what was seen while a start was under way is not remembered."""

    _known: dict[str, int] = field(default_factory=dict)  # hub -> revision of the look that found nothing
    _turns: Counter[str] = field(default_factory=Counter)  # starts of each hub that began, and that ended

    def mark(self, hub: str) -> int:
        """To be taken before a look, and given to `found_nothing`."""
        return self._turns[hub]

    def found_nothing(self, hub: str, revision: int, mark: int) -> None:
        """A direct look found nothing, and nothing that would make it come."""
        under_way = mark % 2 == 1  # one that began and has not ended
        if mark == self._turns[hub] and not under_way:
            self._known[hub] = revision

    def found_something(self, hub: str) -> None:
        """A look, direct or not, found something that runs."""
        self._known.pop(hub, None)

    def as_of(self, hub: str) -> int | None:
        """Revision at which nothing of it ran; None: not known."""
        return self._known.get(hub)

    @contextmanager
    def starting(self, hub: str) -> Iterator[None]:
        """While it is started, or mended."""
        self._known.pop(hub, None)
        self._turns[hub] += 1
        try:
            yield
        finally:
            self._turns[hub] += 1
