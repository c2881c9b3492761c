"""Any name driver behind a short queue: while its service is silent, few callers wait for it, the others hear at once.

Operations of many classes share a few workers. A name server that hangs for seconds on each call must not keep them
from the classes that need something else: a takeover before its name has nothing to do with names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from federation.dns.interface import NameCapabilities, NameDriver, NameRecord
from federation.model.errors import DeadlineExceeded, Unavailable

MOST_WAITING = 3
T = TypeVar("T")


@dataclass(slots=True)
class Queue:
    """Calls to one service. `silence`: what the newest call that ended said of it; empty: it answered."""

    waiting: int = 0
    silence: str = ""

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Unavailable at once, if enough others are waiting to find out whether the service answers again."""
        if self.silence and self.waiting >= MOST_WAITING:
            raise Unavailable(self.silence)
        self.waiting += 1
        try:
            result = await work()
        except (Unavailable, DeadlineExceeded) as error:
            self.silence = error.message
            raise
        finally:
            self.waiting -= 1
        self.silence = ""
        return result


@dataclass(frozen=True, slots=True)
class FewWait:
    """`NameDriver`. Who is asked from outside has a queue of its own: a resolver that is down stops no write."""

    driver: NameDriver
    _inside: Queue = field(default_factory=Queue)
    _outside: Queue = field(default_factory=Queue)

    @property
    def capabilities(self) -> NameCapabilities:
        return self.driver.capabilities

    def url_of(self, host: str) -> str:
        return self.driver.url_of(host)

    async def read(self, host: str) -> NameRecord | None:
        return await self._inside.call(lambda: self.driver.read(host))

    async def write(self, record: NameRecord, expected: NameRecord | None) -> None:
        await self._inside.call(lambda: self.driver.write(record, expected))

    async def remove(self, host: str, expected: NameRecord) -> None:
        await self._inside.call(lambda: self.driver.remove(host, expected))

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        return await self._outside.call(lambda: self.driver.seen_from_outside(host))
