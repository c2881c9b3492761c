"""What a fencer needs of a kind of site: to see what runs of hubs that must not, and to end it. One per kind.

Blocking calls, for the fencer is a process of its own without an event loop, and the standard library alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from federation.core.fencing import Verdict
from federation.model.errors import DriverError

V = TypeVar("V")


class Unseen(DriverError):
    """It could not be looked just now, so that nothing is known: neither that something lives nor that nothing does."""


@dataclass(frozen=True, slots=True)
class Running(Generic[V]):
    """One look: what lives of what must not, in the kind's own words (processes, pods)."""

    hubs: Mapping[str, Sequence[V]] = field(default_factory=dict)  # those of which nothing lives are left out
    edge: Sequence[V] = ()


class Stopper(Protocol[V]):
    """Given at the fencer's composition root. No call takes longer than a fraction of a second, whatever is not reached:
    a fencer that waits does not acknowledge, and then no lease is extended."""

    @property
    def press_ns(self) -> int:
        """How soon after a kill it is worth to look again."""
        ...

    def trouble(self) -> str:
        """Why it could end nothing now, in words that stay the same while it lasts; empty: it could, as far as is known."""
        ...

    def look(self, verdict: Verdict) -> Running[V]:
        """See what lives of the hubs (and of the edge) that `verdict` names; nothing is ended. Raises Unseen."""
        ...

    def kill(self, hub: str, seen: Sequence[V]) -> None:
        """End what was seen of the hub (empty name: of the edge) at once, with everything that holds it together.
        What cannot be ended now is seen again by the next look."""
        ...
