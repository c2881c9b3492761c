"""Election of the leading coordinator: a key bound to a store lease, whose create revision is the leader's epoch.

A leader considers itself lost before its lease can have expired: it counts from the *send* of the last good keepalive.
Every write of its loops compares the election key, so being late costs nothing but the write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from federation.model.errors import Conflict, FederationError
from federation.runtime.clock import Clock
from federation.store.interface import Guard, Put, Store, Transaction

log = structlog.get_logger(__name__)

MARGIN = 0.7  # of the ttl: after that long without a good keepalive, leadership is given up


@dataclass(slots=True)
class Leadership:
    """One term. `epoch` is the create revision of the election key."""

    store: Store
    key: str
    epoch: int
    lease: int
    ttl_s: float
    clock: Clock
    sent_mono: float

    def guard(self) -> Guard:
        """Holds while this term lasts."""
        return Guard(self.key, created=self.epoch)

    async def lost(self) -> None:
        """Keep the lease alive; return when it could not be, or when the key is somebody else's."""
        while self.clock.mono() - self.sent_mono < self.ttl_s * MARGIN:
            await self.clock.sleep(self.ttl_s / 5)
            sent = self.clock.mono()
            try:
                async with asyncio.timeout(self.ttl_s / 3):
                    if await self.store.lease_keepalive(self.lease) <= 0:
                        return
                self.sent_mono = sent
            except (FederationError, TimeoutError) as error:
                log.warning("leader.keepalive-failed", error=str(error))


class Election:
    """`async with election.campaign() as leadership` waits until elected and resigns at the end."""

    def __init__(self, store: Store, key: str, candidate_id: str, *, ttl_s: float, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._candidate = candidate_id
        self._ttl_s = ttl_s
        self._clock = clock

    @asynccontextmanager
    async def campaign(self) -> AsyncIterator[Leadership]:
        """Wait for the key to be free, take it, and give it back when the block ends."""
        leadership = await self._win()
        try:
            yield leadership
        finally:
            with suppress(FederationError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._store.lease_revoke(leadership.lease)

    async def _win(self) -> Leadership:
        while True:
            try:
                leadership = await self._try()
                if leadership is not None:
                    return leadership
            except FederationError as error:
                log.warning("leader.campaign-failed", error=error.message)
            await self._clock.sleep(self._ttl_s / 5)

    async def _try(self) -> Leadership | None:
        if await self._store.get(self._key) is not None:
            return None
        sent = self._clock.mono()
        lease = await self._store.lease_grant(self._ttl_s)
        put = Put(self._key, self._candidate.encode(), lease)
        try:
            committed = await self._store.commit(Transaction(guards=(Guard.absent(self._key),), puts=(put,)))
        except Conflict:
            await self._store.lease_revoke(lease)
            return None
        return Leadership(self._store, self._key, committed.revision, lease, self._ttl_s, self._clock, sent)
