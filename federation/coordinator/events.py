"""Events: what happened, when and by whom, appended in the same transaction as the change itself."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from federation.model.placing import Event
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.register import Changes


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
