"""The simulated network: each message is lost, delayed or doubled as the seed says, each way by itself.

Places are names of machines (`iu`, `c1`, `register`, `names`). A call is made as gRPC makes one: the client gives up
after its time and says so, the server's handler runs in the server's process, and what arrives after that is nobody's.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from federation.model.errors import DeadlineExceeded, FederationError, Unavailable
from tests.support.sim.loop import Process, SimLoop

R = TypeVar("R")
KEEPALIVE_S = 12.0  # a stream over a cut is found to be broken after this
AGAIN_S = 0.5  # what met a cut is sent again after so long
KEPT = 3  # old answers that may come again


@dataclass(slots=True)
class Weather:
    """Chances per message. `slow` messages take up to `slow_s`; `twice` ones arrive again up to `again_s` later; `stale`:
    an old answer arrives in place of the new one."""

    loss: float = 0.0
    slow: float = 0.0
    slow_s: float = 3.0
    twice: float = 0.0
    again_s: float = 15.0
    stale: float = 0.0


@dataclass(slots=True)
class Network:
    loop: SimLoop
    random: Random
    weather: Weather = field(default_factory=Weather)
    servers: dict[str, tuple[Process, Any]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _cuts: Counter[tuple[str, str]] = field(default_factory=Counter)
    dark: set[str] = field(default_factory=set)  # machines without power: nothing answers, not even a refusal
    pipes: list[Pipe] = field(default_factory=list)

    def cut(self, source: str, target: str, by: int = 1) -> None:
        """Lose all that goes from source to target (-1: no longer)."""
        self._cuts[source, target] += by

    def is_cut(self, source: str, target: str) -> bool:
        return self._cuts[source, target] > 0 or bool(self.dark & {source, target})

    def delay_s(self) -> float:
        draw = self.random.random
        if draw() < self.weather.slow:
            return self.weather.slow_s * draw()
        return 0.001 + 0.02 * draw() * draw()

    def send(self, source: str, target: str, deliver: Callable[[], None]) -> None:
        """One message."""
        if self.is_cut(source, target) or self.random.random() < self.weather.loss:
            self.counts["lost"] += 1
            return
        self.loop.after(self.delay_s(), self._arrive, source, target, deliver)

    def _arrive(self, source: str, target: str, deliver: Callable[[], None]) -> None:
        if self.is_cut(source, target):
            self.counts["lost"] += 1
        else:
            deliver()

    async def call(  # noqa: C901 - both ends of one call
        self,
        source: str,
        address: str,
        work: Callable[[Any], Coroutine[Any, Any, R]],
        timeout_s: float,
        *,
        loose: bool = False,
    ) -> R:
        """Ask the server at `address`; `work` is its handler. FederationErrors as over gRPC. `loose`: it may also be
        delivered twice, and long after the client gave up."""
        answer: asyncio.Future[R] = self.loop.create_future()
        running: list[asyncio.Task[Any]] = []

        given_up = False

        def begin(first: bool = True) -> None:
            if given_up and not loose:
                return  # the request and its cancellation come in this order, one right after the other
            server = self.servers.get(address)
            if server is None or server[0].dead:
                refused = Unavailable(f"{address} does not answer", definite=True)
                self.send(address, source, lambda: _settle(answer, error=refused))
                return
            running.append(self.loop.spawn(server[0], serve(server[1], first)))

        async def serve(replica: Any, first: bool) -> None:
            error: FederationError | None = None
            value: Any = None
            try:
                value = await work(replica)
            except FederationError as failed:
                error = failed
            if first:
                self.send(address, source, lambda: _settle(answer, value, error))

        def cancel() -> None:
            for task in running[:1]:
                task.cancel()

        self.send(source, address, begin)
        if loose and self.random.random() < self.weather.twice:
            self.counts["twice"] += 1
            self.loop.after(
                self.weather.again_s * self.random.random(), self.send, source, address, lambda: begin(False)
            )
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            self.counts["timed out"] += 1
            given_up = True
            self.send(source, address, cancel)
            raise DeadlineExceeded(f"{address} did not answer within {timeout_s:g} s") from None

    def broke(self, process: Process) -> None:
        """A process ended: its peers' streams end as soon as they can hear of it."""
        for pipe in [pipe for pipe in self.pipes if process in pipe.ends]:
            if not (self.dark & set(pipe.places)):
                self.loop.after(self.delay_s(), pipe.break_off)


def _settle(future: asyncio.Future[Any], value: Any = None, error: BaseException | None = None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


@dataclass(frozen=True, slots=True)
class _Sent:
    """One message of a stream on its way."""

    item: Any
    since_s: float
    due_s: float


class Pipe:
    """One stream: both directions in order; what meets a cut is sent again, and breaks both after a while. Nothing
    overtakes what is sent again: a directive that did would undo a newer one, which no stream over TCP can."""

    def __init__(self, network: Network, places: tuple[str, str], ends: tuple[Process, Process]) -> None:
        self.places, self.ends = places, ends
        self._network = network
        self._waiting: tuple[deque[Any], deque[Any]] = (deque(), deque())
        self._news: list[asyncio.Future[None] | None] = [None, None]
        self._flying: tuple[deque[_Sent], deque[_Sent]] = (deque(), deque())
        self.broken = False
        network.pipes.append(self)

    def put(self, way: int, item: Any) -> None:
        """Send towards the end `way` (0: the client, 1: the server)."""
        now_s, flying = self._network.loop.true_s, self._flying[way]
        due_s = max(flying[-1].due_s if flying else 0.0, now_s + self._network.delay_s())
        flying.append(_Sent(item, now_s, due_s))
        if len(flying) == 1:
            self._network.loop.after(due_s - now_s, self._deliver, way)

    def _deliver(self, way: int) -> None:
        loop, flying = self._network.loop, self._flying[way]
        if self.broken:
            return
        source, target = self.places[1 - way], self.places[way]
        if self._network.is_cut(source, target) or self.ends[way].dead:
            if loop.true_s - flying[0].since_s > KEEPALIVE_S:
                self.break_off()
            else:
                loop.after(AGAIN_S, self._deliver, way)
            return
        self._waiting[way].append(flying.popleft().item)
        if flying:
            loop.after(max(0.0, flying[0].due_s - loop.true_s), self._deliver, way)
        self._tell(way)

    async def get(self, way: int) -> Any:
        """The next item at the end `way`; Unavailable if the stream broke."""
        while not self._waiting[way]:
            if self.broken:
                raise Unavailable("the stream broke")
            self._news[way] = self._network.loop.create_future()
            await self._news[way]  # type: ignore[misc]
        return self._waiting[way].popleft()

    def break_off(self) -> None:
        if not self.broken:
            self.broken = True
            self._network.pipes.remove(self)
            self._tell(0)
            self._tell(1)

    def _tell(self, way: int) -> None:
        news = self._news[way]
        if news is not None and not news.done():
            news.set_result(None)
