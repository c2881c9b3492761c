"""The interface of name drivers. Every name carries the hub's epoch; a write names what it expects to replace.

Errors: `Conflict` if what is there is not what was expected, `StaleEpoch` if it is newer than what is to be written,
`Unavailable` if the name service does not answer. Done means seen from outside, not accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from federation.model.identity import Epoch


@dataclass(frozen=True, slots=True)
class NameRecord:
    """Where a host name leads, for which hub, since which epoch."""

    host: str
    hub: str
    epoch: Epoch
    target: str  # host:port of the owner's edge


@dataclass(frozen=True, slots=True)
class NameCapabilities:
    """`prerequisite`: name and epoch change together or not at all, compared on the server."""

    prerequisite: bool


class NameDriver(Protocol):
    """One name service. All drivers pass one contract suite."""

    @property
    def capabilities(self) -> NameCapabilities: ...

    def url_of(self, host: str) -> str:
        """What students type to get to `host`."""
        ...

    async def read(self, host: str) -> NameRecord | None:
        """What the service holds now."""
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
