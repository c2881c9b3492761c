"""What fedctl asks about hooks: how they are, and to try them. Any replica answers: each would call them if it led."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random

from federation.api.v1 import control_pb2
from federation.coordinator.hook_feed import HookFeed
from federation.coordinator.hooks_loop import Hooks
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.views import stamp
from federation.core.hooks import trial_of
from federation.model.errors import NotFound
from federation.model.hooks import Hook, HookCursor
from federation.runtime.clock import Clock
from federation.store import keys


@dataclass(frozen=True, slots=True)
class HookDesk:
    """Nothing that it does is recorded: a trial is no event."""

    hooks: Hooks
    snapshot: Snapshot
    clock: Clock
    random: Random
    coordinator: str
    federation: str

    def infos(self) -> list[control_pb2.HookInfo]:
        """Every hook of this coordinator's file, and how its calls went, whoever made them."""
        return [self._info(hook) for hook in self.hooks.settings]

    async def tried(self, name: str, actor: str) -> control_pb2.TestHooksResponse:
        """Call one hook, or all, once and at the same time. NotFound if the file has none of this name."""
        chosen = [hook for hook in self.hooks.settings if name in ("", hook.name)]
        if name and not chosen:
            raise NotFound(
                f"the federation file of coordinator {self.coordinator} has no hook {name}",
                help="`spec.hooks` of the federation file lists them; a coordinator reads it when it starts.",
            )
        tried = await asyncio.gather(*(self._try(hook, actor) for hook in chosen))
        return control_pb2.TestHooksResponse(coordinator=self.coordinator, items=tried)

    async def _try(self, hook: Hook, actor: str) -> control_pb2.HookTried:
        key = f"test/{self.coordinator}-{self.random.getrandbits(48):012x}"
        began_mono = self.clock.mono()
        error = await self.hooks.caller.call(hook, trial_of(self.federation, key, self.clock.now(), actor))
        seconds = self.clock.mono() - began_mono
        return control_pb2.HookTried(name=hook.name, calls=hook.calls, error=error, seconds=seconds)

    def _info(self, hook: Hook) -> control_pb2.HookInfo:
        info = control_pb2.HookInfo(name=hook.name, calls=hook.calls, events=[event.value for event in hook.events])
        stored = self.snapshot.get(keys.hook(hook.name), HookCursor)
        if stored is None:
            return info
        cursor, feed = stored.document, HookFeed(self.snapshot.mirror, hook)
        feed.next(cursor)
        info.called = stamp(cursor.called) if cursor.called is not None else ""
        info.event, info.error = cursor.event, cursor.error
        info.failures, info.given_up, info.last_given_up = cursor.failures, cursor.given_up, cursor.last_given_up
        info.waiting = feed.waiting
        return info
