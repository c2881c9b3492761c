"""Hooks in memory: the twin of programs and web hooks, for virtual time. What is told is kept; faults are set on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from federation.core.hooks import Call
from federation.model.hooks import Hook


@dataclass(frozen=True, slots=True)
class Told:
    """One call that was made, also one that failed."""

    hook: str
    at_s: float
    said: dict[str, Any]


@dataclass(slots=True)
class MemoryHooks:
    """`refuse`: why a hook takes no call now; `silent`: hooks that never answer; `takes_s`: how long an answer takes;
    `on_call`: what else happens once a call has arrived and before it is answered."""

    told: list[Told] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    takes_s: float = 0.01
    on_call: Callable[[Told], None] = lambda _told: None

    async def call(self, hook: Hook, call: Call) -> str:
        now_s = asyncio.get_running_loop().time()
        if hook.name in self.silent:
            await asyncio.sleep(hook.timeout_s)
            return f"no answer within {hook.timeout_s:g} s"
        told = Told(hook.name, now_s, json.loads(call.body))
        self.told.append(told)
        self.on_call(told)
        await asyncio.sleep(self.takes_s)
        return self.refuse.get(hook.name, "")

    def of(self, hook: str) -> list[tuple[str, str]]:
        """What this hook was told, in order."""
        return [(told.said["event"], told.said["turn"]) for told in self.told if told.hook == hook]

    def ids(self, hook: str) -> list[str]:
        """Ids of the calls of this hook, in order."""
        return [told.said["id"] for told in self.told if told.hook == hook]
