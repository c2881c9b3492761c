"""Looks at a class from outside, at every site's edge at once and many times a second: who serves it, and when.

What agents say of themselves is not asked. Two sites that were seen serving within one look are two copies.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from federation.runtime.clock import SystemClock

LOOK_S = 0.05
WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """One answer: asked and answered at (monotonic seconds), and whether the login page came."""

    site: str
    asked: float
    answered: float
    serves: bool


@dataclass
class Onlooker:
    """Looks in a thread of its own from `with` to its end, so often. `edges`: site -> host:port."""

    edges: dict[str, str]
    host: str
    every_s: float = LOOK_S
    looks: list[Look] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look_everywhere()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join(10)

    def served(self, site: str) -> list[Look]:
        """The looks in which this site showed the login page."""
        return [look for look in self.looks if look.site == site and look.serves]

    def overlap(self, old: str, new: str) -> list[Look]:
        """Looks in which `old` served although `new` may have begun to serve by then: two copies."""
        began = min((look.asked for look in self.served(new)), default=float("inf"))
        return [look for look in self.served(old) if look.answered > began]

    async def _look_everywhere(self) -> None:
        timeout = aiohttp.ClientTimeout(total=WITHIN_S)
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await asyncio.gather(*(self._look_at(session, site, edge) for site, edge in self.edges.items()))

    async def _look_at(self, session: aiohttp.ClientSession, site: str, edge: str) -> None:
        clock = SystemClock()
        while not self._stop.is_set():
            asked, serves = clock.mono(), False
            try:
                async with session.get(f"http://{edge}/hub/login", headers={"Host": self.host}) as answer:
                    serves = answer.status == 200
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.looks.append(Look(site, asked, clock.mono(), serves))
            await asyncio.sleep(self.every_s)
