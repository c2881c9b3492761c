"""Election of the leading coordinator: a key bound to a store lease, whose create revision is the leader's epoch.

A leader considers itself lost before its lease can have expired: it counts from the *send* of the last good keepalive.
Every write of its loops compares the election key, so being late costs nothing but the write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from federation.model.errors import Conflict, FederationError
from federation.runtime.clock import Clock
from federation.store.interface import Guard, Put, Store, Transaction

log = structlog.get_logger(__name__)

GIVEN_UP = 0.7  # of the ttl: so long after the last good keepalive was sent, leadership is given up
RENEWED = 0.2  # of the ttl: the pause between two keepalives
PATIENCE = 0.25  # of the ttl: one keepalive; short enough that another member can be asked before it is too late
YIELD = 0.5  # of the ttl: so long a free key is left to the witness; more than two looks of its candidate
RESIGN_S = 1.0


def patience_s(ttl_s: float, *, at_witness: bool, witnesses: int) -> float:
    """How long a candidate leaves a free key to the others, in seconds, where `witnesses` coordinators of the
    federation are at the witness.

    They come first, so that the leader is rarely lost together with a site. Somebody who leads elsewhere already is
    left in peace: a handover would cost a term, and protects only against a loss that has not happened.
    """
    return 0.0 if at_witness or not witnesses else ttl_s * YIELD


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads now: what the candidate put into the key, and the epoch."""

    candidate: str
    epoch: int


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

    @property
    def deadline_mono(self) -> float:
        """When leadership is given up if no further keepalive succeeds; well before the lease can end."""
        return self.sent_mono + self.ttl_s * GIVEN_UP

    async def lost(self) -> None:
        """Keep the lease alive; return when that failed until the deadline, or when the key is somebody else's."""
        while (left := self.deadline_mono - self.clock.mono()) > 0:
            try:
                async with asyncio.timeout(min(left, self.ttl_s * PATIENCE)):
                    if not await self._renewed():
                        log.warning("leader.deposed", key=self.key, epoch=self.epoch)
                        return
            except (FederationError, TimeoutError) as error:
                log.warning("leader.keepalive-failed", key=self.key, epoch=self.epoch, error=str(error) or "late")
            left = self.deadline_mono - self.clock.mono()
            await self.clock.sleep(max(0.0, min(self.ttl_s * RENEWED, left)))
        log.warning("leader.lapsed", key=self.key, epoch=self.epoch)

    async def _renewed(self) -> bool:
        sent = self.clock.mono()
        if await self.store.lease_keepalive(self.lease) <= 0:
            return False
        self.sent_mono = sent
        entry = await self.store.get(self.key)  # the lease may live on while somebody deleted the key
        return entry is not None and entry.created == self.epoch


class Election:
    """`async with election.campaign() as leadership` waits until elected and resigns at the end.

    `delay_s`: how long this candidate leaves a free key to the others (`patience_s`), counted from its own first look
    that found the key free; anew after a look that failed, for the others may have been unable to take it as well.
    `held`: whether a fresh copy of the register has the key, so that the register itself need not be asked.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        candidate_id: str,
        *,
        ttl_s: float,
        clock: Clock,
        delay_s: float = 0.0,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._key = key
        self._candidate = candidate_id
        self._ttl_s = ttl_s
        self._clock = clock
        self._delay_s = delay_s
        self._held = held

    async def leader(self) -> Leader | None:
        """Who leads now (linearizable), or None."""
        entry = await self._store.get(self._key)
        return None if entry is None else Leader(entry.value.decode(errors="replace"), entry.created)

    @asynccontextmanager
    async def campaign(self) -> AsyncIterator[Leadership]:
        """Wait for the key to be free, take it, and give it back when the block ends."""
        leadership = await self._win()
        try:
            yield leadership
        finally:
            await self._give_back(leadership.lease)

    async def _win(self) -> Leadership:
        free_since: float | None = None
        while True:
            try:
                if self._held() or await self.leader() is not None:
                    free_since = None
                else:
                    free_since = self._clock.mono() if free_since is None else free_since
                    if self._clock.mono() - free_since >= self._delay_s:
                        return await self._take()
            except Conflict:
                log.info("leader.lost-the-race", key=self._key, candidate=self._candidate)
            except FederationError as error:
                log.warning("leader.campaign-failed", key=self._key, error=error.message)
                free_since = None
            await self._clock.sleep(self._ttl_s * RENEWED)

    async def _take(self) -> Leadership:
        sent = self._clock.mono()
        lease = await self._store.lease_grant(self._ttl_s)
        put = Put(self._key, self._candidate.encode(), lease)
        try:
            committed = await self._store.commit(Transaction(guards=(Guard.absent(self._key),), puts=(put,)))
        except (FederationError, asyncio.CancelledError):
            # Whether it was applied may be unknown. Without its lease the key is gone, or can never be written.
            await self._give_back(lease)
            raise
        return Leadership(self._store, self._key, committed.revision, lease, self._ttl_s, self._clock, sent)

    async def _give_back(self, lease: int) -> None:
        """Best effort: what is not given back ends by itself after the ttl."""
        with suppress(FederationError, TimeoutError):
            async with asyncio.timeout(RESIGN_S):
                await self._store.lease_revoke(lease)
