"""The interface of name drivers. Every name carries the hub's epoch; a write names what it expects to replace.

Errors: `Conflict` if what is there is not what was expected, or if those who look from outside do not agree;
`StaleEpoch` if it is newer than what is to be written; `Refused` if the service will not do it whoever asks again
(a wrong key, a record of somebody else); `Unavailable` if it does not answer; `DeadlineExceeded` if a change was sent
and may have been made. Every call ends within seconds. Done means seen from outside, not accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from federation.model.identity import Epoch


@dataclass(frozen=True, slots=True)
class NameRecord:
    """Where a host name leads, for which hub, since which epoch. `ttl_s`: how long others may remember it; two records
    that differ in nothing else are the same."""

    host: str
    hub: str
    epoch: Epoch
    target: str  # host:port of the owner's edge
    ttl_s: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NameCapabilities:
    """`prerequisite`: name and epoch change together or not at all, compared on the server. `most_ttl_s`: no name is
    remembered elsewhere for longer; 0: nobody remembers any. `seen_by`: who looks from outside. `zone`: only names
    below it can be written; empty: all can."""

    prerequisite: bool
    most_ttl_s: int = 0
    seen_by: str = ""
    zone: str = ""


class NameDriver(Protocol):
    """One name service. All drivers pass one contract suite."""

    @property
    def capabilities(self) -> NameCapabilities: ...

    def url_of(self, host: str) -> str:
        """What students type to get to `host`."""
        ...

    async def read(self, host: str) -> NameRecord | None:
        """What the service holds now; None also if it holds something that is not ours."""
        ...

    async def write(self, record: NameRecord, expected: NameRecord | None) -> None:
        """Replace exactly `expected` (None: no record) by `record`, whose epoch must not be lower."""
        ...

    async def remove(self, host: str, expected: NameRecord) -> None:
        """Remove exactly `expected`; a name that is gone already is fine."""
        ...

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        """What a student's browser would be led to; not what the service's own interface says."""
        ...
