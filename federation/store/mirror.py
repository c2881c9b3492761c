"""A local copy of the register, fed by list and watch: what loops and reads look at.

Streams are hints: the copy is resumed from its last revision after a break, listed anew when that is compacted, and on
a schedule in any case; differences that a relist finds are announced like any change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from weakref import WeakSet

import structlog

from federation.model.errors import FederationError, RegisterFault
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.folders import Folders
from federation.store.interface import Batch, ChangeKind, Compacted, Entry, Listing, Store, Transaction

log = structlog.get_logger(__name__)

RETRY_S = 0.5


class Subscription:
    """Keys as they change, from the moment of `subscribe` on, in order and coalesced: a slow reader gets a key that
    changed several times once. Hints: what changed is read from the mirror."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._news = asyncio.Event()

    def changed(self, key: str) -> None:
        """For the mirror: this key is different now."""
        self._changed[key] = None
        self._news.set()

    def drain(self) -> list[str]:
        """Everything that changed since the last look, for a reader that does not wait."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> str:
        while not self._changed:
            self._news.clear()
            await self._news.wait()
        key = next(iter(self._changed))
        del self._changed[key]
        return key


class Mirror:
    """All keys below `prefix`. `run` is eternal; `entries` and `get` never block."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        relist_s: float = 300.0,
        prefix: str = "",
        distrust: Callable[[str], None] = lambda _problem: None,
    ) -> None:
        self._distrust = distrust
        self._store = store
        self._clock = clock
        self._relist_s = relist_s
        self._prefix = prefix
        self._folders = Folders()
        self._fresh_mono: float | None = None
        self._synced = asyncio.Event()
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._advanced: asyncio.Event | None = None  # of those who wait for a revision
        self.revision = 0

    def get(self, key: str) -> Entry | None:
        """One key as last seen."""
        return self._folders.get(key)

    def entries(self, prefix: str) -> tuple[Entry, ...]:
        """Every key below `prefix` as last seen, in key order."""
        return self._folders.below(prefix)

    def age_s(self) -> float:
        """Seconds since it was last known to be current. For people and for choosing what to show, never for a
        decision about leases: the register's member that feeds the watch may itself be a little behind."""
        return float("inf") if self._fresh_mono is None else self._clock.mono() - self._fresh_mono

    async def synced(self) -> None:
        """Wait for the first complete listing."""
        await self._synced.wait()

    async def reached(self, revision: int) -> None:
        """Wait until everything up to `revision` is in the copy. For revisions at which something below the prefix was
        written: of another one it may hear late."""
        while self.revision < revision:
            if self._advanced is None:
                self._advanced = asyncio.Event()
            await self._advanced.wait()

    def subscribe(self) -> Subscription:
        """Hear of every change from now on. Forgotten when the caller lets go of it."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        return subscription

    async def run(self) -> None:
        """List, then watch, for ever."""
        while True:
            try:
                sent_mono = self._clock.mono()
                self._take_listing(await self._store.list(self._prefix), sent_mono)
                await self._watch_until(sent_mono + self._relist_s)
            except Compacted:
                log.info("mirror.compacted", revision=self.revision)
            except FederationError as error:
                log.warning("mirror.behind", error=error.message, age_s=round(self.age_s(), 1))
                await self._clock.sleep(RETRY_S)

    async def _watch_until(self, until_mono: float) -> None:
        """Follow changes, resuming after breaks, until it is time to list again."""
        while self._clock.mono() < until_mono:
            stream: Any = self._store.watch(self._prefix, self.revision + 1)
            try:
                async with aclosing(stream):
                    async for batch in stream:
                        self._take(batch)
                        if self._clock.mono() >= until_mono:
                            return
            except FederationError as error:
                log.info("mirror.resume", error=error.message, revision=self.revision)
                await self._clock.sleep(RETRY_S)
                # A watch that is resumed on a register which was put back sees nothing, for as long as that is behind.
                self._check((await self._store.commit(Transaction(reads=(keys.REGISTER_ID,)))).revision)

    def _take(self, batch: Batch) -> None:
        for change in batch.changes:
            if change.kind is ChangeKind.PUT:
                self._folders.put(change.entry)
            else:
                self._folders.remove(change.entry.key)
            self._announce(change.entry.key)
        self._advance(max(self.revision, batch.revision))
        self._fresh_mono = self._clock.mono()

    def _take_listing(self, listing: Listing, sent_mono: float) -> None:
        self._check(listing.revision)
        fresh = Folders(listing.entries)
        different = self._folders.differences(fresh)
        if self._synced.is_set() and different:
            log.warning("mirror.repaired", keys=len(different), first=different[0], revision=listing.revision)
        self._folders = fresh
        for key in different:
            self._announce(key)
        self._advance(listing.revision)
        self._fresh_mono = sent_mono
        self._synced.set()

    def _advance(self, revision: int) -> None:
        self.revision = revision
        if self._advanced is not None:
            self._advanced.set()
            self._advanced = None

    def _check(self, revision: int) -> None:
        """Never a late answer, for reads are linearizable: somebody put an older register in this one's place."""
        if revision < self.revision:
            problem = f"the register is at revision {revision}, {self.revision} was seen before"
            self._distrust(problem)  # and it stays so when the register has caught up: it is another history
            raise RegisterFault(
                f"{problem}: the copy is kept",
                help="If it was restored from a backup, see docs/how-to/recover-the-register.md.",
            )

    def _announce(self, key: str) -> None:
        for subscription in self._subscriptions:
            subscription.changed(key)
