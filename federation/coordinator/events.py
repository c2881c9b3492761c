"""Events: what happened, when and by whom, appended in the same transaction as the change itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

import structlog

from federation.model.errors import FederationError
from federation.model.placing import Event
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.interface import Guard
from federation.store.mirror import Mirror
from federation.store.register import Changes, Register

log = structlog.get_logger(__name__)

KEPT = 200  # events per hub or site
TRIM_S, BATCH = 300.0, 100


def too_many(subjects: Iterable[str], kept: int = KEPT) -> Iterator[str]:
    """Of keys of events in their order, those that are older than the newest `kept` of their subject."""
    by_subject: dict[str, list[str]] = {}
    for key in subjects:
        by_subject.setdefault(key.rpartition("/")[0], []).append(key)
    for found in by_subject.values():
        yield from found[:-kept]


async def trim_regularly(register: Register, mirror: Mirror, guard: Callable[[], Guard], clock: Clock) -> None:
    """Eternal: the leader deletes events beyond the newest of each hub and site."""
    while True:
        await clock.sleep(TRIM_S)
        old = list(too_many(entry.key for entry in mirror.entries(keys.EVENTS)))
        for start in range(0, len(old), BATCH):
            changes = Changes(deletes=old[start : start + BATCH]).only_if(guard())
            try:
                await register.commit(changes)
            except FederationError as error:
                log.warning("events.not-trimmed", error=error.message)
                break


@dataclass(frozen=True, slots=True)
class Journalist:
    """Adds events to transactions. The key sorts by time; the random end keeps two events of one millisecond apart."""

    clock: Clock
    random: Random

    def add(
        self, changes: Changes, type_: str, message: str, *, hub: str = "", site: str = "", actor: str = ""
    ) -> Changes:
        """Record an event about a hub, or about a site if `hub` is empty."""
        now = self.clock.now()
        order = f"{int(now.timestamp() * 1000):014d}-{self.random.getrandbits(32):08x}"
        event = Event(at=now, hub=hub, site=site, type=type_, message=message, actor=actor)
        return changes.put(keys.event(hub or f"site-{site}", order), event)
