"""Whether a hub is to be armed, or why not: a fence that protects nothing only stops classes (PROTOCOL.md H15).

The reasons are what `Protected` says; they hold names, not ages, so that they change only when something changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation.core.takeover import Target
from federation.model.ownership import Mode


@dataclass(frozen=True, slots=True)
class ProtectionFacts:
    """`targets`: sites that the file allows as standby, with what speaks against each. `copies`: why the students'
    homes would not be there; empty: they would, or there are none. `paused`: why automatic moves are off."""

    witness: bool
    paused: str
    targets: Sequence[Target]
    wants_standby: bool
    copies: str


def wanted_mode(facts: ProtectionFacts) -> tuple[Mode, tuple[str, ...]]:
    """Armed only if a takeover could follow; else standing with every reason."""
    reasons: list[str] = []
    if not facts.witness:
        reasons.append("the federation has no witness: two sites cannot tell which of them is cut off")
    if facts.paused:
        reasons.append(f"automatic moves are paused: {facts.paused}")
    if not facts.wants_standby:
        reasons.append("placement.standby is none")
    elif not any(not target.objection for target in facts.targets):
        told = "; ".join(f"{t.site}: {t.objection}" for t in facts.targets)
        reasons.append(f"no site can stand by ({told or 'no other site has joined'})")
    if facts.copies:
        reasons.append(facts.copies)
    return (Mode.STANDING, tuple(reasons)) if reasons else (Mode.ARMED, ())
