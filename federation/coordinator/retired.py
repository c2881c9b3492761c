"""Classes that were retired and whose name a later one took: they are known by their uid, and their homes are kept."""

from __future__ import annotations

from federation.coordinator.snapshot import Snapshot
from federation.model.placing import ClassroomRecord
from federation.store import keys


def retired_before(snapshot: Snapshot, name: str) -> tuple[ClassroomRecord, ...]:
    """Those that had this name and whose homes were not deleted."""
    older = (stored.document for stored in snapshot.under(keys.RETIRED, ClassroomRecord))
    return tuple(r for r in older if r.classroom.name == name and not r.homes_deleted)


def homes_of(snapshot: Snapshot, hub: str) -> str:
    """Path and site of a retired hub's homes, as the site reported it; empty if it did not."""
    observed, ownership = snapshot.observation(hub), snapshot.ownership(hub)
    if observed is None or not observed.document.homes:
        return ""
    site = ownership.document.homes_at if ownership is not None else None
    return f"{observed.document.homes} at {site}" if site else observed.document.homes
