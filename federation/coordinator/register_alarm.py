"""Each coordinator tells the register's hooks of a fault by itself: without the register nobody leads and there is no
cursor. What it told is a file beside the register's id that it remembers, so that restarts neither repeat nor forget it.

Three coordinators that see one fault make three calls, each under an id of its own: they cannot agree on one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import structlog

from federation.coordinator.hooks_loop import Hooks
from federation.core.hooks import TRIES, Call, call_of, for_register, pause_s
from federation.model.errors import FederationError
from federation.model.hooks import Hook
from federation.model.placing import Event
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.store.mirror import Mirror
from federation.store.register import Register

log = structlog.get_logger(__name__)

LOOK_S = 2.0
NEVER = float("inf")


@dataclass(slots=True)
class RegisterSight:
    """What this coordinator knows of its register; both are None until it was opened."""

    clock: Clock
    silent_after_s: float
    register: Register | None = None
    mirror: Mirror | None = None
    _began_mono: float = field(init=False)

    def __post_init__(self) -> None:
        self._began_mono = self.clock.mono()

    def problem(self) -> str | None:
        """What is wrong, in words that stay the same while it is; empty: nothing; None: nobody knows yet."""
        if self.register is not None and self.register.fault:
            return self.register.fault
        heard_s = self.mirror.age_s() if self.mirror is not None else NEVER
        if min(heard_s, self.clock.mono() - self._began_mono) > self.silent_after_s:
            return f"it has not answered for {self.silent_after_s:g} s; sites keep each other's leases meanwhile"
        return "" if heard_s < NEVER else None


@dataclass(frozen=True, slots=True)
class Fault:
    """What was found, and which hooks are done with: told, or given up. `over`: it has ended, and that is being told."""

    id: str
    at: str
    problem: str
    over: bool = False
    done: tuple[str, ...] = ()
    tries: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class RegisterAlarm:
    """`watch` is eternal; `tell_once` is for a start that fails, after which the process ends and is started again."""

    coordinator: str
    federation: str
    hooks: Hooks
    disk: Disk
    path: Path
    clock: Clock
    _not_before_mono: dict[str, float] = field(default_factory=dict)
    _fault: Fault | None = None
    _read: bool = False

    async def watch(self, problem: Callable[[], str | None]) -> None:
        """Look every few seconds, and tell what is not told yet."""
        while True:
            await self.tell_once(problem())
            await self.clock.sleep(LOOK_S)

    async def tell_once(self, problem: str | None) -> None:
        """One round: each hook that has not taken the news is called at most once."""
        if not (hooks := for_register(self.hooks.settings)):
            return
        fault = self._known()
        if fault is None:
            if not problem:
                return
            now = self.clock.now()
            fault = Fault(f"register/{self.coordinator}-{int(now.timestamp() * 1000):014d}", now.isoformat(), problem)
            self._save(fault)
        waiting = [hook for hook in hooks if hook.name not in fault.done]
        if not waiting and problem == "" and not fault.over:
            now = self.clock.now()
            self._save(
                Fault(f"{fault.id}-over", now.isoformat(), "it answers, and is the one that was known", over=True)
            )
        elif waiting:
            fault = await self._tell(fault, waiting)
        if fault.over and all(hook.name in fault.done for hook in hooks):
            self.disk.remove(self.path)
            self._fault = None

    async def _tell(self, fault: Fault, waiting: list[Hook]) -> Fault:
        call, now_mono = self._call(fault), self.clock.mono()
        due = [hook for hook in waiting if self._not_before_mono.get(hook.name, 0.0) <= now_mono]
        errors = await asyncio.gather(*(self.hooks.caller.call(hook, call) for hook in due))
        done, tries = set(fault.done), dict(fault.tries)
        for hook, error in zip(due, errors, strict=True):
            tries[hook.name] = tries.get(hook.name, 0) + 1
            if not error or tries[hook.name] >= TRIES:
                done.add(hook.name)
            if error:
                log.warning("hook.failed", hook=hook.name, event_id=call.id, error=error, tries=tries[hook.name])
                self._not_before_mono[hook.name] = self.clock.mono() + pause_s(tries[hook.name])
        if not due:
            return fault
        after = replace(fault, done=tuple(sorted(done)), tries=tries)
        self._save(after)
        return after

    def _call(self, fault: Fault) -> Call:
        kind = "alarm.register" + (".over" if fault.over else "")
        event = Event(
            at=datetime.fromisoformat(fault.at),
            type=kind,
            message=f"seen by {self.coordinator}: {fault.problem}",
            actor=f"coordinator/{self.coordinator}",
        )
        call = call_of(self.federation, fault.id, event)
        if call is None:
            raise AssertionError(f"{kind} is not in the table of hooks")
        return call

    def _known(self) -> Fault | None:
        """What was being told: by this process, or when it was last running."""
        if not self._read:
            self._fault, self._read = self._load(), True
        return self._fault

    def _load(self) -> Fault | None:
        content = self.disk.read(self.path)
        if content is None:
            return None
        try:
            fields = json.loads(content)
            return Fault(**{**fields, "done": tuple(fields["done"])})
        except (ValueError, TypeError, KeyError):
            log.warning("register-alarm.unreadable", path=str(self.path))
            return None

    def _save(self, fault: Fault) -> None:
        self._fault = fault
        try:
            self.disk.replace(self.path, json.dumps(asdict(fault)).encode())
        except FederationError as error:  # a full disk: told again after a restart, better than not at all
            log.warning("register-alarm.not-saved", error=error.message)
