"""The leader calls hooks: at least once for each event, in order, each hook by itself (docs/adr/0019).

The cursor is written after the call. A leader that is killed between the two leaves a call that the next one repeats,
with the same id and the same bytes; an event that was never told is never passed over, unless its tries are used up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from federation.coordinator.events import Journalist
from federation.coordinator.hook_calls import HookCaller, SystemHookCaller
from federation.coordinator.hook_feed import HookFeed, Upcoming
from federation.coordinator.snapshot import Snapshot
from federation.core.hooks import OLDEST, Told, after_call, call_of, given_up, pause_s
from federation.model.hooks import Hook, HookCursor
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)

LOOK_S = 30.0
SUBJECT = "hooks"  # under which events about hooks are kept


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the federation file says about them, and how they are called."""

    settings: tuple[Hook, ...]
    caller: HookCaller
    alarm_after_s: float


NO_HOOKS = Hooks((), SystemHookCaller(Path()), 120.0)


@dataclass(slots=True)
class HooksLoop:
    """`reconcile(name of a hook)`. One per term of leadership."""

    register: Register
    snapshot: Snapshot
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    hooks: Hooks
    federation: str
    actor: str
    _feeds: dict[str, HookFeed] = field(default_factory=dict)
    _not_before_mono: dict[str, float] = field(default_factory=dict)
    _written: dict[str, Stored[HookCursor]] = field(default_factory=dict)  # the mirror may not show it yet

    def names(self) -> Sequence[str]:
        """All hooks of the file."""
        return [hook.name for hook in self.hooks.settings]

    async def reconcile(self, name: str) -> float | None:
        """Call the hook for the next event; returns when to look again."""
        hook = next(hook for hook in self.hooks.settings if hook.name == name)
        stored = self._cursor(name)
        if stored is None:  # it is called for what happens from now on
            await self._record(None, HookCursor(hook=name, revision=self.snapshot.mirror.revision))
            return LOOK_S
        feed = self._feeds.setdefault(name, HookFeed(self.snapshot.mirror, hook))
        upcoming = feed.next(stored.document)
        if upcoming is None:
            return LOOK_S
        wait_s = self._not_before_mono.get(name, 0.0) - self.journalist.clock.mono()
        if wait_s > 0:  # it was woken for another event while the last call is being repeated
            return wait_s
        return await self._tell(hook, stored, upcoming)

    def _cursor(self, name: str) -> Stored[HookCursor] | None:
        """The newest, so that no event is told twice only because the mirror is a little behind."""
        shown, written = self.snapshot.get(keys.hook(name), HookCursor), self._written.get(name)
        return written if written is not None and (shown is None or written.revision > shown.revision) else shown

    async def _tell(self, hook: Hook, stored: Stored[HookCursor], upcoming: Upcoming) -> float:
        clock, call = self.journalist.clock, call_of(self.federation, upcoming.id, upcoming.event)
        if call is None or clock.now() - upcoming.event.at > OLDEST:
            await self._record(stored, given_up(stored.document, upcoming.place, upcoming.id).cursor)
            return 0.0
        began_mono = clock.mono()
        error = await self.hooks.caller.call(hook, call)
        told = after_call(stored.document, upcoming.place, upcoming.id, error, clock.now())
        seconds = round(clock.mono() - began_mono, 2)
        if error:
            log.warning("hook.failed", hook=hook.name, event_id=call.id, error=error, tries=told.cursor.failures)
        else:
            log.info("hook.called", hook=hook.name, event_id=call.id, seconds=seconds)
        pause = pause_s(told.cursor.failures) if error else 0.0
        self._not_before_mono[hook.name] = clock.mono() + pause
        await self._record(stored, told.cursor, told)
        return pause

    async def _record(self, stored: Stored[HookCursor] | None, cursor: HookCursor, told: Told | None = None) -> None:
        key = keys.hook(cursor.hook)
        changes = Changes().only_if(self.leader_guard()).unchanged(key, stored).put(key, cursor)
        if told is not None and told.given_up:
            message = f"{cursor.hook} was not told of {cursor.event}: {cursor.error}"
            self.journalist.add(changes, "hook.given_up", message, site=SUBJECT, actor=self.actor)
        if told is not None and told.works_again:
            message = f"{cursor.hook} takes calls again; {cursor.given_up} events were never told"
            self.journalist.add(changes, "hook.works", message, site=SUBJECT, actor=self.actor)
        self._written.pop(cursor.hook, None)
        committed = await self.register.commit(changes)
        self._written[cursor.hook] = Stored(key, cursor, committed.revision)
