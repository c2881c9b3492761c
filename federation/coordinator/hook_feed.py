"""The events that a hook is still to be called for, in the order in which the register took them.

Decodes each event once per hook: all that are newer than the cursor when the term begins, then what changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from federation.core.hooks import wants
from federation.model.errors import RegisterFault
from federation.model.hooks import Hook, HookCursor
from federation.model.placing import Event
from federation.store import keys
from federation.store.interface import Entry
from federation.store.mirror import Mirror, Subscription
from federation.store.register import decode

Place = tuple[int, str]
"""Register revision and key: the order of events, also of those that one transaction wrote."""


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next event for a hook."""

    place: Place
    id: str
    event: Event


@dataclass(slots=True)
class HookFeed:
    """One hook's; `next` takes nothing away: the cursor does."""

    mirror: Mirror
    hook: Hook
    _news: Subscription | None = None
    _waiting: dict[Place, Event] = field(default_factory=dict)

    def next(self, cursor: HookCursor) -> Upcoming | None:
        """The oldest event after the cursor that the hook wants; None: it was told of all."""
        done = (cursor.revision, cursor.key)
        for entry in self._changed():
            if (entry.revision, entry.key) > done:
                self._add(entry)
        for place in [place for place in self._waiting if place <= done]:
            del self._waiting[place]
        if not self._waiting:
            return None
        place = min(self._waiting)
        return Upcoming(place, place[1].removeprefix(keys.EVENTS), self._waiting[place])

    @property
    def waiting(self) -> int:
        """How many events wait, the next one included."""
        return len(self._waiting)

    def _changed(self) -> list[Entry]:
        if self._news is None:
            self._news = self.mirror.subscribe()
            return list(self.mirror.entries(keys.EVENTS))
        changed = (key for key in self._news.drain() if key.startswith(keys.EVENTS))
        return [entry for key in changed if (entry := self.mirror.get(key)) is not None]

    def _add(self, entry: Entry) -> None:
        try:
            event = decode(entry, Event).document
        except RegisterFault:  # of a newer version: it cannot be told by this one
            return
        if wants(self.hook, event):
            self._waiting[entry.revision, entry.key] = event
