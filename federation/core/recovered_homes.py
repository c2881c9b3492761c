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
    tree = claim.homes if claim is not None else None
    elsewhere = index is not None and index.copy_.site != owner and (tree is None or tree < index.epoch)
    copy = index.copy_ if index is not None and elsewhere else None  # else its own tree is not older than any copy
    known: list[tuple[Epoch, CopyPoint | None]] = []  # of one epoch the first counts
    if tree is not None:
        known.append((tree, None))
    if ordered is not None:
        known.append((ordered.epoch, ordered.restore))
    if record is not None:
        known.append((record.epoch, record.restore if owner in (record.owner, record.homes_at) else copy))
    if index is not None:
        known.append((index.epoch, copy))
    opened = (other.floor for site, other in facts.claims.items() if site != owner)
    known += [(floor, copy) for floor in opened if floor is not None]
    _epoch, due = max(known, key=lambda each: each[0], default=(None, None))
    return None if claim is not None and due is not None and claim.restored == due else due
