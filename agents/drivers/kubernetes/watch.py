"""One watch of the cluster's API: keeps a mirror of all objects of a kind, and says when it is not to be believed.

Whoever looks takes what was heard, and asks the API server itself when nothing is: never reads a mirror that nobody has
confirmed for SILENT_S. What must not be late by a moment, e.g. whether a stopped hub has ended, is never read here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

import structlog

from agents.drivers.kubernetes.api import Listed, Object
from agents.drivers.kubernetes.mirror import Mirror
from federation.model.errors import DriverError
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

SILENT_S = 75.0
"""So long a watch may bring nothing, and its mirror is believed: the API server sends a bookmark each minute."""
RELIST_S = 600.0  # everything is listed anew, whatever the watch has told
FIRST_S, MOST_S = 0.5, 60.0  # of waiting before a watch that was lost is begun again
STEADY_S = 60.0  # after so long without a loss the next one is a first one
SHORTEST_S = 1.0  # a server that ends each watch at once is not asked without a pause


class Source(Protocol):
    """What a watch needs of `api.Api`."""

    async def items(self, path: str, *, labels: str = "", fields: str = "") -> list[Object]: ...

    async def listed(self, path: str, *, labels: str = "", fields: str = "") -> Listed: ...

    def events(
        self, path: str, *, since: int, limit_s: float, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[Object, None]: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What is watched. `name` is for the log."""

    name: str
    path: str
    labels: str = ""
    fields: str = ""


@dataclass(slots=True)
class Watch:
    """Begun by the first look; `start` makes a named task of it, which lives as long as the driver."""

    kind: Kind
    source: Source
    clock: Clock
    random: Random
    start: Callable[[str, Coroutine[Any, Any, None]], object]
    mirror: Mirror = field(default_factory=Mirror)
    _heard_mono: float | None = None
    _begun: bool = False
    _lost: bool = False

    def heard(self) -> Mirror | None:
        """What the watch has told, if it is to be believed now; None: ask the API server."""
        if not self._begun:
            self._begun = True
            self.start(f"watch-{self.kind.name}", self.run())
        fresh = self._heard_mono is not None and self.clock.mono() - self._heard_mono < SILENT_S
        return self.mirror if fresh else None

    async def objects(self) -> tuple[Object, ...]:
        """All of the kind: as heard, or as the API server says."""
        heard = self.heard()
        if heard is not None:
            return heard.all()
        return tuple(await self.source.items(self.kind.path, labels=self.kind.labels, fields=self.kind.fields))

    async def run(self) -> None:
        """Eternal."""
        losses = 0
        while True:
            begin_mono = self.clock.mono()
            try:
                await self._list()
                await self._follow(begin_mono + RELIST_S * (0.9 + 0.2 * self.random.random()))
                losses = 0
                continue
            except DriverError as error:
                why, least_s = error.message, error.delay_s or 0.0
            except (ValueError, KeyError, TypeError) as error:  # what came is not what an API server says
                why, least_s = repr(error), 0.0
            self._heard_mono = None  # from now on everybody asks for themselves
            losses = 1 if self.clock.mono() - begin_mono > STEADY_S else losses + 1
            if not self._lost:
                log.warning("watch.lost", kind=self.kind.name, why=why)
            self._lost = True
            most_s = min(MOST_S, FIRST_S * 2.0 ** min(losses - 1, 16))
            await self.clock.sleep(max(least_s if losses > 1 else 0.0, most_s * (0.5 + 0.5 * self.random.random())))

    async def _list(self) -> None:
        begin_mono = self.clock.mono()
        self.mirror.begin()
        listed = await self.source.listed(self.kind.path, labels=self.kind.labels, fields=self.kind.fields)
        self.mirror.replace(listed.items, listed.revision)
        self._heard_mono = begin_mono  # no older than that, and perhaps no newer
        log.debug("watch.listed", kind=self.kind.name, objects=len(listed.items))

    async def _follow(self, until_mono: float) -> None:
        """Take what comes until everything is to be listed anew: at its time, or because nothing comes."""
        while (left_s := until_mono - self.clock.mono()) > 0:
            begin_mono = self.clock.mono()
            if not await self._stream(left_s):
                log.debug("watch.silent", kind=self.kind.name, silent_s=SILENT_S)
                return
            if self.clock.mono() - begin_mono < SHORTEST_S:
                await self.clock.sleep(SHORTEST_S)

    async def _stream(self, limit_s: float) -> bool:
        """One watch, from where the mirror ends, until the server ends it or its time is over. False: it was silent."""
        until_mono, kind = self.clock.mono() + limit_s, self.kind
        events = self.source.events(
            kind.path, since=self.mirror.revision, limit_s=limit_s, labels=kind.labels, fields=kind.fields
        )
        async with aclosing(events):
            while True:
                try:
                    async with asyncio.timeout(SILENT_S):
                        event = await anext(events, None)
                except TimeoutError:
                    return False
                if event is None:
                    return True
                self.mirror.take(event)
                self._heard_mono = self.clock.mono()
                if self._lost:
                    log.info("watch.again", kind=kind.name)
                self._lost = False
                if self._heard_mono >= until_mono:
                    return True
