"""The one shape of every loop (DESIGN.md section 5): wake a key, reconcile it, look again when it says so.

Wake-ups are hints and may be lost or doubled: a scheduled relist repairs what they lost. One worker per key. A failing
key backs off alone; a lost compare-and-set (`Conflict`) is a normal outcome and is simply looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from random import Random

import structlog

from federation.model.errors import Conflict, FederationError
from federation.runtime.agenda import Agenda
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

LEAST_PAUSE_S = 0.001
Reconcile = Callable[[str], Awaitable[float | None]]
"""Reconciles one key; returns seconds until it wants to be looked at again, or None to wait for a wake-up."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a loop looks by itself and how a failing key backs off, in seconds."""

    relist_s: float = 30.0
    backoff_first_s: float = 0.2
    backoff_most_s: float = 15.0
    workers: int = 16


class Loop:
    """Runs `reconcile` for every key that is due. `keys` lists all of them at each relist."""

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        keys: Callable[[], Iterable[str]],
        *,
        clock: Clock,
        random: Random,
        pace: Pace | None = None,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._keys = keys
        self._clock = clock
        self._random = random
        self._pace = pace or Pace()
        self._due = Agenda()
        self._failures: dict[str, int] = {}
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._nudge = asyncio.Event()
        self._pause_until = 0.0

    def wake(self, key: str, *, urgent: bool = False) -> None:
        """Look at `key` soon; a failing key waits for its back-off, unless it is `urgent`. Cheap, may be called from
        anywhere on the loop's thread."""
        if urgent:
            self._failures.pop(key, None)
        if key in self._running:
            self._again.add(key)
        elif key not in self._failures:
            self._due.set(key, self._clock.mono())
        self._nudge.set()

    async def run(self) -> None:
        """Eternal."""
        next_relist = self._clock.mono()
        async with asyncio.TaskGroup() as workers:
            while True:
                now = self._clock.mono()
                if now >= next_relist:
                    for key in self._list():
                        if key not in self._running:
                            self._due.add(key, now)
                    next_relist = now + self._pace.relist_s * (0.9 + 0.2 * self._random.random())
                for key in self._take(now):
                    workers.create_task(self._work(key), name=f"{self.name}:{key}")
                soonest = self._due.soonest() if self._has_room() else None
                until = next_relist if soonest is None else min(soonest, next_relist)
                await self._pause(until - self._clock.mono())

    def _list(self) -> Iterable[str]:
        try:
            return list(self._keys())
        except FederationError as error:
            log.warning("loop.relist-failed", loop=self.name, error=error.message)
            return ()

    def _has_room(self) -> bool:
        return len(self._running) < self._pace.workers

    def _take(self, now: float) -> list[str]:
        ready = self._due.take(now, self._pace.workers - len(self._running))
        self._running.update(ready)
        return ready

    async def _pause(self, seconds: float) -> None:
        """Until the next key is due or somebody wakes one. Without room, whoever is done wakes it."""
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            self._pause_until = self._clock.mono() + seconds
            # a pause below the clock's resolution would end before its time has come, again and again
            alarm = asyncio.get_running_loop().call_later(max(seconds, LEAST_PAUSE_S), self._nudge.set)
            try:
                await self._nudge.wait()
            finally:
                alarm.cancel()
        self._nudge.clear()

    async def _work(self, key: str) -> None:
        delay: float | None
        try:
            delay = await self._reconcile(key)
            self._failures.pop(key, None)
        except Conflict:
            delay = 0.05 + 0.1 * self._random.random()
        except Exception as error:  # noqa: BLE001 - the loop's per-key boundary: one failing object backs off alone
            delay = self._backoff(key)
            self._report(key, error, delay)
        waited_for = not self._has_room()
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            if key not in self._failures:
                delay = 0.0
        if delay is not None:
            # what is due in less than the clock can tell would be looked at again and again at the same moment
            due = self._clock.mono() + (max(delay, LEAST_PAUSE_S) if delay > 0 else 0.0)
            self._due.set(key, due)
            waited_for = waited_for or due < self._pause_until
        if waited_for:
            self._nudge.set()

    def _backoff(self, key: str) -> float:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        most = min(self._pace.backoff_most_s, self._pace.backoff_first_s * 2.0 ** min(count - 1, 16))
        return most * (0.5 + 0.5 * self._random.random())

    def _report(self, key: str, error: Exception, delay: float) -> None:
        expected = isinstance(error, FederationError)
        log.warning(
            "loop.failed",
            loop=self.name,
            key=key,
            error=str(error),
            retry_s=round(delay, 2),
            exc_info=None if expected else error,
        )
