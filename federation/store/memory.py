"""The in-memory twin of etcd: same revisions, guards, leases and watches; for simulations on virtual time.

Passes the contract suite of `tests/contract/test_store.py` like the real one. Nothing survives the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from federation.model.errors import Conflict, InvalidRequest, RegisterFull
from federation.runtime.clock import Clock
from federation.store.interface import (
    MAX_OPERATIONS,
    MAX_REQUEST_BYTES,
    Batch,
    Change,
    ChangeKind,
    Committed,
    Compacted,
    Entry,
    Guard,
    Listing,
    StoreStatus,
    Transaction,
)

PROGRESS_S = 2.0


@dataclass(slots=True)
class _Lease:
    ttl_s: float
    until_mono: float
    keys: set[str] = field(default_factory=set)


class MemoryStore:
    """`Store` in one process. `full` raises the quota alarm."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._history: list[tuple[int, tuple[Change, ...]]] = []
        self._leases: dict[int, _Lease] = {}
        self._revision = 1
        self._compacted = 0
        self._next_lease = 1
        self._news = asyncio.Event()
        self.full = False

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        self._expire()
        return self._entries.get(key)

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        self._expire()
        found = sorted((e for k, e in self._entries.items() if k.startswith(prefix)), key=lambda e: e.key)
        return Listing(tuple(found), self._revision)

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        self._expire()
        self._check_limits(transaction)
        for guard in transaction.guards:
            if not self._holds(guard):
                raise Conflict(f"{guard.key} is not as it was read: nothing was written")
        if self.full and transaction.puts:
            raise RegisterFull("the register's quota is used up: nothing was written")
        if transaction.puts or any(key in self._entries for key in transaction.deletes):
            self._apply(transaction)
        reads = {key: self._entries.get(key) for key in transaction.reads}
        ranges = {prefix: (await self.list(prefix)).entries for prefix in transaction.ranges}
        return Committed(self._revision, reads, ranges)

    async def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        if from_revision <= self._compacted:
            raise Compacted
        position = from_revision
        while True:
            self._expire()
            newest = self._revision
            for revision, changes in list(self._history):
                if position <= revision <= newest:
                    seen = tuple(c for c in changes if c.entry.key.startswith(prefix))
                    if seen:
                        yield Batch(seen, revision)
            position = newest + 1
            try:
                async with asyncio.timeout(PROGRESS_S):
                    await self._news.wait()
            except TimeoutError:
                yield Batch((), newest)

    async def lease_grant(self, ttl_s: float) -> int:
        lease, self._next_lease = self._next_lease, self._next_lease + 1
        self._leases[lease] = _Lease(ttl_s, self._clock.mono() + ttl_s)
        return lease

    async def lease_keepalive(self, lease: int) -> float:
        self._expire()
        known = self._leases.get(lease)
        if known is None:
            return 0.0
        known.until_mono = self._clock.mono() + known.ttl_s
        return known.ttl_s

    async def lease_revoke(self, lease: int) -> None:
        known = self._leases.pop(lease, None)
        if known is not None:
            self._apply(Transaction(deletes=tuple(k for k in known.keys if k in self._entries)))

    async def compact(self, revision: int) -> None:
        self._compacted = max(self._compacted, min(revision, self._revision))
        self._history = [item for item in self._history if item[0] > self._compacted]

    async def status(self) -> StoreStatus:
        size = sum(len(e.value) for e in self._entries.values())
        return StoreStatus("memory", "memory", size, ("NOSPACE",) if self.full else (), self._revision)

    async def close(self) -> None:
        return

    def _holds(self, guard: Guard) -> bool:
        entry = self._entries.get(guard.key)
        if guard.revision is not None:
            return (entry.revision if entry else 0) == guard.revision
        if guard.created is not None:
            return (entry.created if entry else 0) == guard.created
        return entry is not None and entry.value == guard.value

    def _apply(self, transaction: Transaction) -> None:
        if not (transaction.puts or transaction.deletes):
            return
        self._revision += 1
        changes: list[Change] = []
        for put in transaction.puts:
            old = self._entries.get(put.key)
            entry = Entry(put.key, put.value, self._revision, old.created if old else self._revision)
            self._entries[put.key] = entry
            for lease in self._leases.values():
                lease.keys.discard(put.key)
            if put.lease:
                self._leases[put.lease].keys.add(put.key)
            changes.append(Change(ChangeKind.PUT, entry))
        for key in transaction.deletes:
            gone = self._entries.pop(key, None)
            if gone is not None:
                changes.append(Change(ChangeKind.DELETE, Entry(key, b"", self._revision, gone.created)))
        self._history.append((self._revision, tuple(changes)))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _expire(self) -> None:
        now = self._clock.mono()
        for number, lease in list(self._leases.items()):
            if lease.until_mono <= now:
                del self._leases[number]
                self._apply(Transaction(deletes=tuple(k for k in lease.keys if k in self._entries)))

    @staticmethod
    def _check_limits(transaction: Transaction) -> None:
        count = len(transaction.puts) + len(transaction.deletes) + len(transaction.reads) + len(transaction.ranges)
        if max(count, len(transaction.guards)) > MAX_OPERATIONS:
            raise InvalidRequest(f"a transaction of {count} operations; at most {MAX_OPERATIONS} are possible")
        size = sum(len(p.value) + len(p.key) for p in transaction.puts)
        if size > MAX_REQUEST_BYTES:
            raise InvalidRequest(f"a transaction of {size} bytes; at most {MAX_REQUEST_BYTES} are possible")
