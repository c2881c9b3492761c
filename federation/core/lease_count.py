"""How long a site has been silent, as this leader may count it (DESIGN.md 4.2, PROTOCOL.md H2, H11).

The leader counts L from *its own first sight* of the newest grant, on its own clock: later than the grant itself, never
earlier. Counts start at zero at election (each term has its own), and again after any gap in which the register could
not be read: a site may have renewed meanwhile, or may not have been able to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sight:
    """The newest grant of a site: the register revision of its lease, and when this leader first saw that."""

    revision: int
    at_mono: float


@dataclass(slots=True)
class LeaseCounts:
    """Fed by linearizable reads of all leases. `gap_s`: reads that are further apart restart all counts."""

    gap_s: float
    _sights: dict[str, Sight] = field(default_factory=dict)
    _read_mono: float | None = None

    def read(self, leases: Mapping[str, int], sent_mono: float, now_mono: float) -> bool:
        """A read that was sent at `sent_mono` and answered now: revision of each site's lease. False if it came after
        a gap: then every count starts at this moment."""
        in_time = self._read_mono is not None and now_mono - self._read_mono <= self.gap_s
        if not in_time:
            self._sights.clear()
        # what the answer shows was true at some moment after it was asked for: the next gap is counted from there
        self._read_mono = sent_mono
        for site, revision in leases.items():
            known = self._sights.get(site)
            if known is None or known.revision != revision:
                self._sights[site] = Sight(revision, now_mono)
        return in_time

    def sight(self, site: str) -> Sight | None:
        """The newest grant of the site; None: it has none, or nothing was read yet."""
        return self._sights.get(site)

    def silent_s(self, site: str, now_mono: float) -> float:
        """Since the first sight of its newest grant; 0 if nothing is known: what is not known is never silence."""
        sight = self._sights.get(site)
        return 0.0 if sight is None else now_mono - sight.at_mono
