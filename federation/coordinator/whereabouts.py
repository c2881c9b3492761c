"""What `core.relocation` decides from: where a hub is, and what its site, its class and its last move say about leaving."""

from __future__ import annotations

from datetime import datetime, timedelta

from federation.coordinator.snapshot import Snapshot
from federation.core.calendar import windows
from federation.core.relocation import HubThere
from federation.model.classroom import ClassroomSpec
from federation.model.operation import Operation, OperationKind
from federation.model.ownership import Ownership

DAY = timedelta(days=1)


def hub_there(
    snapshot: Snapshot, now: datetime, ownership: Ownership, home_well_s: float | None = None
) -> HubThere | None:
    """The hub now; None if nobody owns it, or the register's copy here has not all of it yet."""
    hub, site = ownership.hub, ownership.owner
    generation, stored = snapshot.in_force(hub), snapshot.operation(hub)
    if site is None or generation is None or stored is None:
        return None
    owner, spec, operation = snapshot.site(site), generation.classroom.spec, stored.document
    cordon, observed = owner.document.cordon if owner is not None else None, snapshot.observation(hub)
    return HubThere(
        site=site,
        drained=cordon.reason if cordon is not None and cordon.drain else "",
        home=ownership.home,
        home_well_s=home_well_s,
        movable=spec.placement.movable,
        servers=observed.document.servers if observed is not None else 0,
        meets_within_s=meets_within_s(spec, now),
        busy=not operation.done,
        given_up_s=_over_s(operation, now) if operation.source == site else None,
        taken_back_s=_over_s(operation, now) if operation.back else None,
    )


def _over_s(operation: Operation, now: datetime) -> float | None:
    """Since a move was over; None: it is not, or it is none."""
    if operation.kind is not OperationKind.MOVE or not operation.done or not operation.history:
        return None
    return (now - operation.history[-1].at).total_seconds()


def meets_within_s(spec: ClassroomSpec, now: datetime) -> float | None:
    """Until the class gets ready for its next time, 0 in it; None: it has none within a day."""
    coming = windows(spec, now, now + DAY)
    return max(0.0, (coming[0].warm - now).total_seconds()) if coming else None
