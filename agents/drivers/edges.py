"""What leads to hubs, for every kind of site: the edge, its routes, and the canary on which its gate is proven."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from federation.model.identity import Epoch


@dataclass(frozen=True, slots=True)
class Route:
    """Host names -> a hub. Whether users may pass is not said here: the edge reads that from the lease file."""

    hub: str
    epoch: Epoch
    hosts: tuple[str, ...]
    target: str  # host:port


@dataclass(frozen=True, slots=True)
class Departed:
    """Host names of a hub that runs at another site now: who still comes here by an old answer of the DNS is told so."""

    hub: str
    hosts: tuple[str, ...]


class EdgeDriver(Protocol):
    """The site's front proxy: one address, routes by host name, closed for a hub unless the lease file says otherwise."""

    async def ensure(self) -> str:
        """Start or mend the edge; returns the address host:port at which others reach it."""
        ...

    async def publish(
        self, routes: tuple[Route, ...], departed: tuple[Departed, ...] = (), unseen: frozenset[str] = frozenset()
    ) -> None:
        """Replace the whole table but the routes of `unseen` hubs. A route beats a departed hub of the same host name."""
        ...

    async def is_open(self, hub: str) -> bool:
        """Seen from outside the edge: does a request for the hub's host pass?"""
        ...

    async def close(self) -> None:
        """Release the driver's own resources; the edge goes on."""
        ...


class Passage(StrEnum):
    """What became of one request to the edge."""

    PASSED = "passed"  # the gate let it through, whatever then answered
    REFUSED = "refused"  # the gate said no
    SILENT = "silent"  # the edge did not answer, or knows nothing of the host


class CanaryDriver(Protocol):
    """Something like a hub, to prove gate and fencer on (PROTOCOL.md H13): same marks, same edge, same file, no class."""

    async def start(self, hub: str) -> str:
        """Start it under this hub name; returns host:port where it answers every request."""
        ...

    async def ask(self, host: str) -> Passage:
        """Send one request for `host` through the site's edge."""
        ...

    async def alive(self, hub: str) -> bool:
        """Whether anything of it lives."""
        ...

    async def stop(self, hub: str) -> None:
        """End what is left of it. Idempotent."""
        ...
