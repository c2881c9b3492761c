"""Each coordinator's line to the register: slow, broken or lying still, as a real one is; and what it truly committed.

`MemoryStore` is the register itself and never fails. An error here is one of three: *definite* (surely nothing was
written), *indefinite* (it may have been, and here the seed says whether and when), and slow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.model.errors import DeadlineExceeded, FederationError, Unavailable
from federation.store.interface import Batch, Committed, Entry, Listing, StoreStatus, Transaction
from federation.store.memory import MemoryStore
from tests.support.sim.loop import Process
from tests.support.sim.network import Network
from tests.support.sim.truth import RegisterTruth

TIMEOUT_S = 5.0  # the etcd client's
PLACE = "register"


@dataclass(slots=True)
class Errors:
    """Chances per operation. `late`: applied only after the caller has given up."""

    definite: float = 0.0
    applied: float = 0.0
    not_applied: float = 0.0
    late: float = 0.0
    slow: float = 0.0
    slow_s: float = 2.0
    lag_s: float = 0.05  # how far a watch is behind
    lag: float = 0.0  # chance that it is behind by up to 3 s


class SimStore:
    """`Store` for one coordinator process."""

    def __init__(
        self,
        store: MemoryStore,
        process: Process,
        network: Network,
        random: Random,
        errors: Errors,
        truth: RegisterTruth,
    ) -> None:
        self._store, self._process, self._network = store, process, network
        self._random, self._errors, self._truth = random, errors, truth

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        entry: Entry | None = await self._do(lambda: self._store.get(key), timeout_s)
        return entry

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        listing: Listing = await self._do(lambda: self._store.list(prefix), timeout_s)
        return listing

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        sent_s = self._process.host.time(self._network.loop.true_s)
        committed: Committed = await self._do(lambda: self._commit(transaction, sent_s), timeout_s)
        if transaction.ranges or transaction.puts:
            self._truth.answered(self._process, transaction, committed, sent_s)
        return committed

    async def _commit(self, transaction: Transaction, sent_s: float) -> Committed:
        return await self._truth.commit(self._store, self._process, transaction, sent_s)

    async def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        async for batch in self._store.watch(prefix, from_revision):
            errors = self._errors
            behind_s = 3.0 * self._random.random() if self._random.random() < errors.lag else errors.lag_s
            await asyncio.sleep(behind_s * self._random.random())
            if self._network.is_cut(PLACE, self._process.host.name) or self._random.random() < errors.definite / 10:
                raise Unavailable("the watch broke")
            yield batch

    async def lease_grant(self, ttl_s: float) -> int:
        return int(await self._do(lambda: self._store.lease_grant(ttl_s), None))

    async def lease_keepalive(self, lease: int) -> float:
        return float(await self._do(lambda: self._store.lease_keepalive(lease), None))

    async def lease_revoke(self, lease: int) -> None:
        await self._do(lambda: self._store.lease_revoke(lease), None)

    async def compact(self, revision: int) -> None:
        await self._do(lambda: self._store.compact(revision), None)

    async def status(self) -> StoreStatus:
        status: StoreStatus = await self._do(self._store.status, None)
        return status

    async def close(self) -> None:
        return

    async def _do(  # noqa: C901 - one operation, whole
        self, ask: Callable[[], Coroutine[Any, Any, Any]], timeout_s: float | None
    ) -> Any:
        """One operation: there, applied, back; each leg by itself."""
        loop, network, errors, here = self._network.loop, self._network, self._errors, self._process.host.name
        answer: asyncio.Future[Any] = loop.create_future()
        draw, delay_s, lost = self._random.random(), 0.001 + 0.008 * self._random.random(), False
        if self._random.random() < errors.slow:
            delay_s += errors.slow_s * self._random.random()
        for chance, kind in (
            (errors.definite, "definite"),
            (errors.applied, "applied"),
            (errors.not_applied, "not applied"),
            (errors.late, "late"),
        ):
            draw -= chance
            if draw < 0:
                network.counts[f"store error, {kind}"] += 1
                if kind == "definite":
                    await asyncio.sleep(delay_s)
                    raise Unavailable("no member of the register answers", definite=True)
                lost = True
                delay_s = {
                    "applied": delay_s,
                    "not applied": float("inf"),
                    "late": TIMEOUT_S + 8 * self._random.random(),
                }[kind]
                break

        def apply() -> None:
            value: Any = None
            error: BaseException | None = None
            try:
                ask().send(None)
            except StopIteration as done:
                value = done.value
            except FederationError as failed:
                error = failed
            if not (lost or network.is_cut(PLACE, here)):
                loop.after(delay_s / 2, _settle, answer, value, error)

        if delay_s != float("inf") and not network.is_cut(here, PLACE):
            loop.after(delay_s, apply)
        try:
            async with asyncio.timeout(timeout_s or TIMEOUT_S):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded("the register did not answer in time") from None


def _settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
