"""From which copy the homes of a hub are restored at the first epoch of a new era (DESIGN.md I3, I6, PROTOCOL.md H6).

The site that gets the hub, the register and the other sites may each know of a different epoch: whoever knows of the
highest tells where the homes are. A tree that is as new as that is never replaced, and no other site starts without it.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.core.recovery import HubFacts
from federation.model.homes import CopyPoint, HomeIndex
from federation.model.identity import Epoch


@dataclass(frozen=True, slots=True)
class Ordered:
    """The newest order that the site keeps, if it is of the epoch that it holds. `restore` None: its own tree counts."""

    epoch: Epoch
    restore: CopyPoint | None


def restore_due(
    facts: HubFacts, owner: str | None, index: HomeIndex | None, ordered: Ordered | None
) -> CopyPoint | None:
    """None: the tree at the owner counts as it is, or there is nothing to restore."""
    claim, record = facts.claims.get(owner or ""), facts.record
    if owner is None:
        due = record.restore if record is not None else None
        carried = any(each.runs or (due is not None and each.restored == due) for each in facts.claims.values())
        return None if carried else due
    if claim is not None and claim.runs:
        return None
    known: list[tuple[Epoch, CopyPoint | None]] = []  # of one epoch the first counts
    if claim is not None and claim.homes is not None:
        known.append((claim.homes, None))
    if ordered is not None:
        known.append((ordered.epoch, ordered.restore))
    if record is not None and owner in (record.owner, record.homes_at):
        known.append((record.epoch, record.restore))
    copy = index.copy_ if index is not None and index.copy_.site != owner else None
    if record is not None and owner not in (record.owner, record.homes_at):
        known.append((record.epoch, copy or _of_another(record.restore, owner)))
    if index is not None:
        known.append((index.epoch, copy))
    known += [(other.floor, copy) for site, other in facts.claims.items() if site != owner and other.floor is not None]
    _epoch, due = max(known, key=lambda each: each[0], default=(None, None))
    return None if claim is not None and due is not None and claim.restored == due else due


def _of_another(copy: CopyPoint | None, owner: str) -> CopyPoint | None:
    return copy if copy is not None and copy.site != owner else None
