"""The register of a virtual federation, lost and put back; who lets users in meanwhile; and a person who recovers it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from federation.api.v1 import control_pb2
from federation.coordinator.replica import Replica
from federation.model.errors import Unavailable
from federation.store.interface import Committed, Entry, Put, Transaction
from federation.store.memory import MemoryStore
from tests.support.virtual import VirtualFederation


@dataclass(slots=True)
class Onlooker:
    """Looks at all gates of a hub, ten times a second unless told: when none was open, and when more than one."""

    federation: VirtualFederation
    hub: str
    closed: list[float] = field(default_factory=list)
    twice: list[float] = field(default_factory=list)
    every_s: float = 0.1

    async def run(self) -> None:
        while True:
            edges = [site.drivers().edge for site in self.federation.sites.values()]
            opened = sum([await edge.is_open(self.hub) for edge in edges])
            if opened != 1:
                (self.twice if opened else self.closed).append(self.federation.clock.mono())
            await asyncio.sleep(self.every_s)


async def backup(federation: VirtualFederation) -> tuple[Entry, ...]:
    """All that the register holds now."""
    return (await federation.store.list("")).entries


async def put_in_place(federation: VirtualFederation, entries: tuple[Entry, ...]) -> None:
    """What coordinators see as the register from now on. Keys with a lease come back without one and end at once."""
    old, federation.store = federation.store, MemoryStore(federation.clock)
    for entry in entries:
        if entry.key != "leader":
            await federation.store.commit(Transaction(puts=(Put(entry.key, entry.value),)))
    for store in federation.stores.values():
        store.become(federation.store)
    await old.close()


async def ask(replica: Replica, **more: Any) -> control_pb2.RegisterState:
    """One call of `fedctl register recover`."""
    request = control_pb2.RecoverRegisterRequest(**{"confirm_federation": "virtual", **more})
    return await replica.recovering.recover(request, "user/ann")


async def recovered(replica: Replica, limit_s: float = 120.0, **more: Any) -> control_pb2.RegisterState:
    """What `fedctl register recover` does: ask until it is done."""
    async with asyncio.timeout(limit_s):
        while (state := await ask(replica, **more)).step != "done":
            await asyncio.sleep(0.5)
    return state


async def began_anew(federation: VirtualFederation, *names: str) -> Replica:
    """What a supervisor does with coordinators that end themselves after a recovery. Returns the first."""
    for name in names:
        if name in federation.tasks:
            await federation.kill(name)
    started = [await federation.start_replica(name) for name in names]
    return started[0]


@dataclass(slots=True)
class DyingStore:
    """A coordinator's connection, which dies with it after so many writes of a recovery; reports of sites do not count."""

    store: Any
    left: int

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        if any(not put.key.startswith("recovery/holdings/") for put in transaction.puts):
            if self.left == 0:
                raise Unavailable("killed")
            self.left -= 1
        committed: Committed = await self.store.commit(transaction)
        return committed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)
