"""What a checker says of a history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """`invariant` is the number in PROTOCOL.md section 8 and a name; `at` true seconds; `since`: where its story begins."""

    invariant: str
    at: float
    text: str
    hub: str = ""
    sites: tuple[str, ...] = ()
    since: float | None = None


@dataclass(slots=True)
class Verdict:
    """`holds` None: the history ended too early to tell. `counts`: what the checker saw, for the vacuity check."""

    invariant: str
    violations: list[Violation] = field(default_factory=list)
    holds: bool | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def found(
        self, at: float, text: str, hub: str = "", sites: tuple[str, ...] = (), since: float | None = None
    ) -> None:
        self.violations.append(Violation(self.invariant, at, text, hub, sites, since))

    def done(self, known: bool = True) -> Verdict:
        """A violation is one however short the history; that there is none is known of a whole history only."""
        self.holds = False if self.violations else (True if known else None)
        return self
