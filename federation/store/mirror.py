"""A local copy of the register, fed by list and watch: what loops and reads look at.

Streams are hints: the copy is resumed from its last revision after a break, listed anew when that is compacted, and on
a schedule in any case; differences that a relist finds are announced like any change.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import structlog

from federation.model.errors import FederationError
from federation.runtime.clock import Clock
from federation.store.interface import Batch, ChangeKind, Compacted, Entry, Listing, Store

log = structlog.get_logger(__name__)

RETRY_S = 0.5


class Mirror:
    """All keys, grouped by their first folder. `run` is eternal; `entries` and `get` never block."""

    def __init__(self, store: Store, *, clock: Clock, relist_s: float = 300.0) -> None:
        self._store = store
        self._clock = clock
        self._relist_s = relist_s
        self._folders: dict[str, dict[str, Entry]] = {}
        self._fresh_mono: float | None = None
        self._synced = asyncio.Event()
        self._readers: list[tuple[set[str], asyncio.Event]] = []
        self.revision = 0

    def get(self, key: str) -> Entry | None:
        """One key as last seen."""
        return self._folders.get(_folder(key), {}).get(key)

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Every key below `prefix`, in key order. A prefix that ends inside a folder's name is not supported."""
        folder = self._folders.get(_folder(prefix), {})
        whole = prefix == _folder(prefix)
        for key in sorted(folder):
            if whole or key.startswith(prefix):
                yield folder[key]

    def age_s(self) -> float:
        """Seconds since it was last known to be current."""
        return float("inf") if self._fresh_mono is None else self._clock.mono() - self._fresh_mono

    async def synced(self) -> None:
        """Wait for the first complete listing."""
        await self._synced.wait()

    async def subscribe(self) -> AsyncIterator[str]:
        """Keys as they change, coalesced: a slow reader gets each changed key once."""
        reader: tuple[set[str], asyncio.Event] = (set(), asyncio.Event())
        self._readers.append(reader)
        try:
            while True:
                await reader[1].wait()
                reader[1].clear()
                while reader[0]:
                    yield reader[0].pop()
        finally:
            self._readers.remove(reader)

    async def run(self) -> None:
        """List, then watch, for ever."""
        while True:
            try:
                listing = await self._store.list("")
                self._take_listing(listing)
                await self._watch_until(self._clock.mono() + self._relist_s)
            except Compacted:
                continue
            except FederationError as error:
                log.warning("mirror.behind", error=error.message, age_s=round(self.age_s(), 1))
                await self._clock.sleep(RETRY_S)

    async def _watch_until(self, until_mono: float) -> None:
        while self._clock.mono() < until_mono:
            stream = self._store.watch("", self.revision + 1)
            try:
                async for batch in stream:
                    self._take(batch)
                    if self._clock.mono() >= until_mono:
                        return
            except FederationError as error:
                log.info("mirror.resume", error=error.message, revision=self.revision)
                await self._clock.sleep(RETRY_S)
                if self.age_s() > self._relist_s:
                    return

    def _take(self, batch: Batch) -> None:
        for change in batch.changes:
            folder = self._folders.setdefault(_folder(change.entry.key), {})
            if change.kind is ChangeKind.PUT:
                folder[change.entry.key] = change.entry
            else:
                folder.pop(change.entry.key, None)
            self._announce(change.entry.key)
        self._current(batch.revision)

    def _take_listing(self, listing: Listing) -> None:
        fresh: dict[str, dict[str, Entry]] = {}
        for entry in listing.entries:
            fresh.setdefault(_folder(entry.key), {})[entry.key] = entry
        old = {key: e.revision for folder in self._folders.values() for key, e in folder.items()}
        new = {key: e.revision for folder in fresh.values() for key, e in folder.items()}
        self._folders = fresh
        for key in old.keys() | new.keys():
            if old.get(key) != new.get(key):
                self._announce(key)
        self._current(listing.revision)
        self._synced.set()

    def _current(self, revision: int) -> None:
        self.revision = max(self.revision, revision)
        self._fresh_mono = self._clock.mono()

    def _announce(self, key: str) -> None:
        for changed, event in self._readers:
            changed.add(key)
            event.set()


def _folder(key: str) -> str:
    head, slash, _rest = key.partition("/")
    return head + slash
