"""What happened in one simulated run between sites that ask each other while no coordinator answers (DESIGN.md 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.sim.history import Event, Pair

Peer = tuple[str, str]
"""(site, uid)."""


@dataclass(frozen=True, slots=True)
class RoundBegun(Event):
    """A site asks all its peers to keep their hands off these hubs. `own_s`: its clock before the first question left."""

    site: str
    nonce: int
    own_s: float
    hubs: Mapping[str, Pair]


@dataclass(frozen=True, slots=True)
class Promised(Event):
    """A peer says yes, or no, to one hub of a round: its answer leaves now. `own_s`: the peer's clock."""

    site: str
    own_s: float
    asker: str
    hub: str
    epoch: Pair
    yes: bool


@dataclass(frozen=True, slots=True)
class PromiseHeard(Event):
    """An answer reached the asker, `site`: what the peer promised, and in which round."""

    site: str
    peer: Peer
    nonce: int
    hubs: frozenset[str]


@dataclass(frozen=True, slots=True)
class RegisterAway(Event):
    """From now on until the calm no coordinator reaches the register, and nothing else goes wrong: sites and the lines
    between them are well."""
