"""Switches automatic moves off and on: while `pause` is there every hub becomes standing, and no takeover can commit."""

from __future__ import annotations

from federation.coordinator.admission import Admission
from federation.model.errors import InvalidRequest
from federation.model.ownership import Pause
from federation.store import keys
from federation.store.register import Changes

LONGEST_REASON = 200


async def set_pause(admission: Admission, *, paused: bool, reason: str, actor: str) -> bool:
    """True if something changed. A takeover compares that nobody has paused: once this has returned none begins."""
    reason = " ".join(reason.split())
    if paused and not 0 < len(reason) <= LONGEST_REASON:
        raise InvalidRequest(
            f"a pause needs a reason of at most {LONGEST_REASON} characters",
            help="Others will read it while classes are not protected; e.g. 'storage work at tacc until noon'.",
        )
    before = await admission.register.read(keys.PAUSE, Pause)
    if not paused and before is None:
        return False
    if paused and before is not None and before.document.reason == reason:
        return False
    changes = Changes().unchanged(keys.PAUSE, before)
    if paused:
        since = before.document.since if before is not None else admission.journalist.clock.now()
        changes.put(keys.PAUSE, Pause(reason=reason, actor=actor, since=since))
    else:
        changes.delete(keys.PAUSE)
    kind, message = ("federation.paused", reason) if paused else ("federation.resumed", "automatic moves are on again")
    admission.journalist.add(changes, kind, message, site="federation", actor=actor)
    await admission.register.commit(changes)
    return True
