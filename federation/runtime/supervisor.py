"""The only place that creates tasks. An eternal task that returns is a bug; one that fails ends the daemon.

A daemon is a handful of eternal tasks: when one fails, all are cancelled and the first error is re-raised, so that the
process supervisor gives it a fresh start. Stragglers at shutdown are named in the log and left behind, never awaited
for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

STOP_S = 10.0

log = structlog.get_logger(__name__)


class TaskReturned(RuntimeError):
    """An eternal task came to its end without being told to stop."""


class Supervisor:
    """Owns tasks: `async with Supervisor("agent") as tasks: tasks.start(...); await tasks.wait(stop)`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: asyncio.Future[None] | None = None

    def start(self, name: str, work: Coroutine[Any, Any, Any], *, eternal: bool = True) -> asyncio.Task[Any]:
        """Run `work` as a named task. With `eternal=False` it may return; if it fails the daemon ends all the same."""
        task = asyncio.get_running_loop().create_task(self._guard(name, work, eternal), name=f"{self._name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        task.add_done_callback(lambda _task: work.close())  # one that was cancelled before its first step
        return task

    async def wait(self, stop: asyncio.Event) -> None:
        """Return when `stop` is set; raise the first error if a task fails before that."""
        stopped = asyncio.get_running_loop().create_task(stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {stopped, self._failed()}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._failed().done():
                self._failed().result()
        finally:
            stopped.cancel()

    async def close(self) -> None:
        """Cancel everything and wait a bounded time."""
        running = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in running:
            task.cancel()
        if running:
            _done, late = await asyncio.wait(running, timeout=STOP_S)
            for task in late:
                log.error("task.straggler", task=task.get_name())
        if self._failure is not None and self._failure.done() and not self._failure.cancelled():
            self._failure.exception()  # seen: it was raised by wait() or shutdown came first

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _guard(self, name: str, work: Coroutine[Any, Any, Any], eternal: bool) -> Any:
        result = await work
        if eternal:
            raise TaskReturned(f"{self._name}.{name} returned; it should run until stopped")
        return result

    def _failed(self) -> asyncio.Future[None]:
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        log.error("task.failed", task=task.get_name(), exc_info=error)
        if error is not None and not self._failed().done():
            self._failed().set_exception(error)
