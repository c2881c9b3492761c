"""The in-memory twin of etcd: same revisions, guards, leases and watches; for simulations on virtual time.

Passes the contract suite of `tests/contract/test_store.py` like the real one. Nothing survives the process.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from federation.model.errors import Conflict, InvalidRequest, NotFound, RegisterFull, Unavailable
from federation.runtime.clock import Clock
from federation.store.checks import check_transaction
from federation.store.interface import (
    Batch,
    Change,
    ChangeKind,
    Committed,
    Compacted,
    Entry,
    Guard,
    Listing,
    Put,
    StoreStatus,
    Transaction,
)


@dataclass(slots=True)
class _Lease:
    ttl_s: float
    until_mono: float
    keys: dict[str, None] = field(default_factory=dict)  # ordered, so that equal runs have equal histories


class MemoryStore:
    """`Store` in one process. `full` raises the quota alarm; `progress_s` is how often a silent watch says so."""

    def __init__(self, clock: Clock, *, progress_s: float = 2.0) -> None:
        self._clock = clock
        self._progress_s = progress_s
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []  # those of _entries, sorted
        self._history: list[Batch] = []  # one per revision, oldest first
        self._leases: dict[int, _Lease] = {}
        self._lease_of: dict[str, int] = {}
        self._revision = 1
        self._compacted = 0
        self._next_lease = 1
        self._news = asyncio.Event()
        self._closed = False
        self.full = False

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        self._look()
        return self._entries.get(key)

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        self._look()
        return Listing(self._below(prefix), self._revision)

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        self._look()
        check_transaction(transaction)
        if self.full and transaction.puts:
            raise RegisterFull("the register's quota is used up: nothing was written")
        for guard in transaction.guards:
            if not self._holds(guard):
                raise Conflict(f"{guard.key} is not as it was read: nothing was written")
        for put in transaction.puts:
            if put.lease and put.lease not in self._leases:
                raise NotFound(f"{put.key}: there is no lease {put.lease}: nothing was written")
        self._apply(transaction.puts, transaction.deletes)
        return Committed(
            self._revision,
            {key: self._entries.get(key) for key in transaction.reads},
            {prefix: self._below(prefix) for prefix in transaction.ranges},
        )

    async def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        position = max(from_revision, 1)
        while True:
            self._look()
            if position <= self._compacted:
                raise Compacted
            silent = True
            for batch in self._since(position):
                position = batch.revision + 1
                seen = tuple(c for c in batch.changes if c.entry.key.startswith(prefix))
                if seen:
                    silent = False
                    yield Batch(seen, batch.revision)
            if self._since(position):
                continue
            news = self._news
            try:
                async with asyncio.timeout(self._patience_s()):
                    await news.wait()
            except TimeoutError:
                if silent:
                    yield Batch((), max(self._revision, position - 1))

    async def lease_grant(self, ttl_s: float) -> int:
        self._look()
        if self.full:
            raise RegisterFull("the register's quota is used up: no lease was granted")
        lease, self._next_lease = self._next_lease, self._next_lease + 1
        self._leases[lease] = _Lease(ttl_s, self._clock.mono() + ttl_s)
        return lease

    async def lease_keepalive(self, lease: int) -> float:
        self._look()
        known = self._leases.get(lease)
        if known is None:
            return 0.0
        known.until_mono = self._clock.mono() + known.ttl_s
        return known.ttl_s

    async def lease_revoke(self, lease: int) -> None:
        self._look()
        self._end(lease)

    async def compact(self, revision: int) -> None:
        self._look()
        if revision - 1 > self._revision:
            raise InvalidRequest(f"compact to {revision}: the register has not come so far")
        self._compacted = max(self._compacted, revision - 1)
        self._history = [*self._since(self._compacted + 1)]

    async def status(self) -> StoreStatus:
        self._look()
        size = sum(len(e.value) for e in self._entries.values())
        return StoreStatus("memory", "memory", size, ("NOSPACE",) if self.full else (), self._revision)

    async def close(self) -> None:
        self._closed = True
        self._announce()

    def _look(self) -> None:
        """Time passed since the last call: leases may have ended."""
        if self._closed:
            raise Unavailable("the store is closed")
        now = self._clock.mono()
        for number, lease in list(self._leases.items()):
            if lease.until_mono <= now:
                self._end(number)

    def _end(self, number: int) -> None:
        lease = self._leases.pop(number, None)
        if lease is not None:
            self._apply((), tuple(lease.keys))

    def _holds(self, guard: Guard) -> bool:
        entry = self._entries.get(guard.key)
        if guard.revision is not None:
            return (entry.revision if entry else 0) == guard.revision
        if guard.created is not None:
            return (entry.created if entry else 0) == guard.created
        return entry is not None and entry.value == guard.value

    def _below(self, prefix: str) -> tuple[Entry, ...]:
        found = []
        for position in range(bisect_left(self._keys, prefix), len(self._keys)):
            key = self._keys[position]
            if not key.startswith(prefix):
                break
            found.append(self._entries[key])
        return tuple(found)

    def _since(self, revision: int) -> Sequence[Batch]:
        return self._history[bisect_left(self._history, revision, key=lambda batch: batch.revision) :]

    def _patience_s(self) -> float:
        """Until a watch has something to say or a lease ends."""
        ends = min((lease.until_mono for lease in self._leases.values()), default=float("inf"))
        return min(self._progress_s, max(0.0, ends - self._clock.mono()))

    def _apply(self, puts: tuple[Put, ...], deletes: tuple[str, ...]) -> None:
        gone = [key for key in deletes if key in self._entries]
        if not puts and not gone:
            return
        self._revision += 1
        changes = [self._put(put) for put in puts] + [self._delete(key) for key in gone]
        self._history.append(Batch(tuple(changes), self._revision))
        self._announce()

    def _put(self, put: Put) -> Change:
        old = self._entries.get(put.key)
        if old is None:
            insort(self._keys, put.key)
        entry = Entry(put.key, put.value, self._revision, old.created if old else self._revision)
        self._entries[put.key] = entry
        self._bind(put.key, put.lease)
        return Change(ChangeKind.PUT, entry)

    def _delete(self, key: str) -> Change:
        del self._entries[key]
        del self._keys[bisect_left(self._keys, key)]
        self._bind(key, 0)
        return Change(ChangeKind.DELETE, Entry(key, b"", self._revision, 0))

    def _bind(self, key: str, lease: int) -> None:
        with suppress(KeyError):
            del self._leases[self._lease_of.pop(key)].keys[key]
        if lease:
            self._leases[lease].keys[key] = None
            self._lease_of[key] = lease

    def _announce(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
