"""Which generation of a classroom its site is to run now, and with which value of its secret.

A change that restarts the hub waits for a gap between meetings. Until its operation has passed that point, the former
generation stays in force, at the site and for names; what both hosts would mean is never mixed. A new value of a secret
restarts the hub as well, so it waits in the same way.
"""

from __future__ import annotations

from datetime import datetime

from federation.core.calendar import Window, current_window
from federation.model.classroom import ClassroomSpec
from federation.model.effects import Effect, differences
from federation.model.operation import Operation, OperationKind, Step
from federation.model.placing import ClassroomRecord, Generation, SealedSecret, SealedVersion


def generation_in_force(record: ClassroomRecord, operation: Operation | None) -> Generation:
    """The newest generation, or the former one while the newest waits for its turn."""
    if operation is not None and operation.kind is OperationKind.FAILOVER and operation.step is Step.ADMITTED:
        operation = operation.interrupted  # until the standby owns the hub nothing has changed
    waits = operation is not None and operation.kind is OperationKind.PLACE and operation.step is Step.ADMITTED
    if waits and record.former is not None:
        return record.former
    return Generation(number=record.generation, classroom=record.classroom)


def meeting_to_wait_for(record: ClassroomRecord, operation: Operation, now: datetime) -> Window | None:
    """The meeting whose end the newest generation waits for; None if it may be applied."""
    if operation.now or record.former is None:
        return None
    changes = differences(record.former.classroom, record.classroom)
    if all(change.effect is not Effect.RESTART for change in changes):
        return None
    running = [current_window(spec, now) for spec in (record.former.classroom.spec, record.classroom.spec)]
    return max((window for window in running if window is not None), key=lambda window: window.end, default=None)


def secret_in_force(
    secret: SealedSecret, spec: ClassroomSpec, created: datetime, now: datetime
) -> tuple[SealedVersion, Window | None]:
    """The value that a class of this spec uses now, and the meeting whose end a newer one waits for. A class that was
    `created` in the meeting itself knew no earlier value."""
    versions = secret.versions
    window = current_window(spec, now) if secret.earlier else None
    if window is None:
        return versions[0], None
    begin = max(window.warm, created)
    known = next((version for version in versions if version.changed <= begin), versions[-1])
    return known, None if known is versions[0] else window
