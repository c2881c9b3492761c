"""An event loop on virtual time that knows processes and hosts: whose callback it is decides when, and whether, it runs.

Each callback carries a context; the context names the process. A paused process's callbacks are held (SIGSTOP: its
sleeps, its I/O and its handlers stop), a dead one's never run again (SIGKILL: not even a clean-up), and `time()` is the
clock of the process's host, which may be fast or slow. Nothing waits for real; equal seeds give equal runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

SLACK_S = 1e-9  # two floats that mean the same moment


class Host:
    """One machine's clock: `rate` seconds of its own pass in each true second, none while the machine is paused."""

    def __init__(self, name: str, rate: float = 1.0, offset_s: float = 0.0) -> None:
        self.name = name
        self.rate = rate
        self.boot = 1
        self.paused = False
        self._own_s, self._true_s = offset_s, 0.0

    def time(self, true_s: float) -> float:
        """What its clock shows at this true time."""
        return self._own_s if self.paused else self._own_s + (true_s - self._true_s) * self.rate

    def when(self, own_s: float, true_s: float) -> float:
        """The true time at which its clock will show `own_s`, if it is not paused meanwhile."""
        return true_s + max(0.0, own_s - self.time(true_s)) / self.rate

    def restart(self, true_s: float) -> None:
        """Another boot: its clock begins anew."""
        self.boot += 1
        self._own_s, self._true_s = 0.0, true_s

    def pause(self, true_s: float, *, paused: bool) -> None:
        """Stop or go on, the clock included: a paused virtual machine."""
        self._own_s, self._true_s = self.time(true_s), true_s
        self.paused = paused


class Process:
    """What is paused and killed as one. `context` is copied into each of its tasks."""

    def __init__(self, name: str, host: Host) -> None:
        self.name = name
        self.host = host
        self.paused = False
        self.dead = False
        self.held: deque[Timer] = deque()
        self.tasks: list[SimTask] = []
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)

    @property
    def stopped(self) -> bool:
        """Whether its callbacks have to wait."""
        return self.paused or self.host.paused


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Timer:
    """A callback that is due: what asyncio calls a handle."""

    __slots__ = ("_args", "_callback", "context", "gone", "own_s", "process")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context) -> None:
        self._callback, self._args, self.context = callback, args, context
        self.process: Process | None = context.get(PROCESS)
        self.own_s = 0.0  # when, by the clock of the process's host
        self.gone = False

    def cancel(self) -> None:
        self.gone = True

    def cancelled(self) -> bool:
        return self.gone

    def when(self) -> float:
        return self.own_s

    def run(self) -> None:
        self.context.run(self._callback, *self._args)


class SimTask(asyncio.Task[Any]):
    """Hashes by number, so that sets of tasks have one order in every run."""

    count = 0

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: SimLoop, context: Context | None) -> None:
        SimTask.count += 1
        self.number = SimTask.count  # before asyncio puts it into a set
        super().__init__(coro, loop=loop, context=context)

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    """`true_s` is the simulator's own time, in seconds; 0 at the start."""

    def __init__(self) -> None:
        super().__init__()
        SimTask.count = 0
        self.true_s = 0.0
        self._due: list[tuple[float, int, Timer]] = []
        self._now: deque[Timer] = deque()
        self._count = 0
        self.errors: list[dict[str, Any]] = []
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]
        self.set_exception_handler(lambda _loop, context: self.errors.append(context))

    # --- asyncio's side ---

    def time(self) -> float:
        process = PROCESS.get()
        return self.true_s if process is None else process.host.time(self.true_s)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        timer = Timer(callback, args, context if context is not None else contextvars.copy_context())
        self._now.append(timer)
        return timer

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        timer = Timer(callback, args, context if context is not None else contextvars.copy_context())
        timer.own_s = when
        process = timer.process
        self._push(when if process is None else process.host.when(when, self.true_s), timer)
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        now = self._now
        if not now:
            self._advance()
        while now:
            timer = now.popleft()
            process = timer.process
            if timer.gone or (process is not None and process.dead):
                continue
            if process is not None and process.stopped:
                process.held.append(timer)
                continue
            timer.run()

    def _advance(self) -> None:
        """To the next moment at which something is due; everything of that moment becomes due together."""
        due = self._due
        if not due:
            raise RuntimeError("nothing is left to do, and the run has not ended")
        self.true_s = max(self.true_s, due[0][0])
        while due and due[0][0] <= self.true_s:
            timer = heapq.heappop(due)[2]
            if timer.gone:
                continue
            process = timer.process
            if process is not None and not process.stopped and process.host.time(self.true_s) < timer.own_s - SLACK_S:
                self._push(process.host.when(timer.own_s, self.true_s), timer)  # its machine had been paused
                continue
            self._now.append(timer)

    def _push(self, true_s: float, timer: Timer) -> None:
        self._count += 1
        heapq.heappush(self._due, (true_s, self._count, timer))

    def _make_task(self, _loop: Any, coro: Coroutine[Any, Any, Any], context: Context | None = None) -> SimTask:
        task = SimTask(coro, loop=self, context=context)
        process = (context.get(PROCESS) if context is not None else None) or PROCESS.get()
        if process is not None:
            if len(process.tasks) > 200:
                process.tasks = [known for known in process.tasks if not known.done()]
            process.tasks.append(task)  # a dead process's tasks must not be collected, for that would run clean-ups
        return task

    # --- the simulator's side ---

    def after(self, seconds: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """In so many true seconds, for nobody: the network, the store, the fault schedule."""
        timer = Timer(callback, args, NOBODY)
        self._push(self.true_s + seconds, timer)
        return timer

    def spawn(self, process: Process, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of `process`, whoever calls."""
        return self.create_task(work, context=process.context.copy())

    def resume(self, process: Process) -> None:
        """What was held while it was stopped is due now."""
        if not process.stopped:
            held, process.held = process.held, deque()
            for timer in held:
                if process.host.time(self.true_s) < timer.own_s - SLACK_S:  # its machine's clock had been stopped
                    self._push(process.host.when(timer.own_s, self.true_s), timer)
                else:
                    self._now.append(timer)


NOBODY = Context()


def sim_loop() -> SimLoop:
    """The running simulation's loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


def true_time() -> float:
    """The simulator's own time, whoever asks."""
    return sim_loop().true_s
