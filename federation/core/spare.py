"""If a whole site goes, which of its classes find room elsewhere together, and which have to wait (FAILOVER.md, N-1).

A takeover judges each class alone. Together they may not fit; then those that are needed most come first, as in a
takeover, and the others are named beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from federation.core.placement import Need, SiteFacts, no_room


@dataclass(frozen=True, slots=True)
class Claim:
    """One class of the site. `urgency` as `core.calendar` has it, lower is first; `targets` in order of preference."""

    name: str
    urgency: int
    need: Need
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    name: str
    site: str


@dataclass(frozen=True, slots=True)
class Wait:
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What would become of all classes of one site, in the order in which they come."""

    site: str
    fits: tuple[Fit, ...] = ()
    waits: tuple[Wait, ...] = ()

    def why_waits(self, name: str) -> str:
        """Why this class would wait; empty: it fits, or is not in the plan."""
        return next((wait.why for wait in self.waits if wait.name == name), "")

    @property
    def sentence(self) -> str:
        """For people, with every name."""
        count = len(self.fits) + len(self.waits)
        if not count:
            return f"no class of {self.site} would be moved"
        placed = ", ".join(f"{fit.name} to {fit.site}" for fit in self.fits)
        waiting = "; ".join(f"{wait.name} ({wait.why})" for wait in self.waits)
        said = f"{len(self.fits)} of {count} classes of {self.site} find room together"
        return said + (f": {placed}" if placed else "") + (f"; without room: {waiting}" if waiting else "")


def plan(site: str, claims: Iterable[Claim], others: Sequence[SiteFacts]) -> Plan:
    """Give room to each in turn, the most urgent first; what is given is gone for those after it."""
    free = {facts.name: facts for facts in others if facts.name != site}
    fits: list[Fit] = []
    waits: list[Wait] = []
    for claim in sorted(claims, key=lambda claim: (claim.urgency, claim.name)):
        target, why = _room(claim, free)
        if target is None:
            waits.append(Wait(claim.name, why))
            continue
        fits.append(Fit(claim.name, target.name))
        free[target.name] = replace(
            target,
            reserved_cpu_millis=target.reserved_cpu_millis + claim.need.cpu_millis,
            reserved_memory_bytes=target.reserved_memory_bytes + claim.need.memory_bytes,
        )
    return Plan(site, tuple(fits), tuple(waits))


def _room(claim: Claim, free: Mapping[str, SiteFacts]) -> tuple[SiteFacts | None, str]:
    objections = []
    for name in claim.targets:
        facts = free.get(name)
        if facts is None:
            continue
        objection = no_room(facts, claim.need)
        if objection is None:
            return facts, ""
        objections.append(f"{name}: {objection}")
    return None, "; ".join(objections) or "no other site is allowed"
