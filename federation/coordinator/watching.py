"""Streams for whoever waits: hubs as they change, one operation until it is done. Works on any replica.

Changes come from the mirror; each stream wakes on its own event and sends what is true now, so a slow reader misses
intermediate states, never the last one. A replica that loses the register ends its streams: it would be silent from then
on, and another one may know what happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from federation.api.v1 import control_pb2, types_pb2
from federation.coordinator import views
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import STALE_S
from federation.model.errors import NotFound, Unavailable
from federation.model.identity import name_of
from federation.model.placing import ClassroomRecord
from federation.store import keys

APPEAR_S = 10.0  # an operation admitted by another replica must show up in our mirror within this time
LOOK_S = 2.0  # between two looks whether the register is still heard
LOST_S = STALE_S + 5.0  # a member of the register that fell silent is given up in between, and another one is watched
HUB_KEYS = (keys.CLASSROOMS, keys.HUBS, keys.OPERATIONS, keys.ASSIGNMENTS, keys.OBSERVED, keys.ROSTERS)


@dataclass(slots=True)
class Watching:
    """`changed` is called by the replica for every key that changes."""

    snapshot: Snapshot
    _waiting: list[tuple[str, asyncio.Event]] = field(default_factory=list)

    def changed(self, key: str) -> None:
        """Wake the streams that look at this key's hub."""
        if not key.startswith(HUB_KEYS):
            return
        tail = keys.tail(key)
        name = tail if key.startswith(keys.CLASSROOMS) else name_of(tail)
        for wanted, event in self._waiting:
            if wanted in ("", name, tail):
                event.set()

    async def hubs(self, name: str) -> AsyncIterator[control_pb2.WatchResponse]:
        """All hubs (or one) now, then each time one changes."""
        if name and self.snapshot.classroom(name) is None:
            raise NotFound(f"no classroom is named {name}")
        sent: dict[str, types_pb2.Hub] = {}
        with self._waits_for(name) as event:
            while True:
                for answer in self._news(name, sent):
                    yield answer
                await self._change(event)
                event.clear()

    async def operation(self, name: str, operation_id: str) -> AsyncIterator[types_pb2.Operation]:
        """One operation as it goes on; ends when it is done or a newer one took its place."""
        with self._waits_for(name) as event:
            hub = await self._appear(name, operation_id, event)
            sent: types_pb2.Operation | None = None
            while True:
                event.clear()
                stored = self.snapshot.operation(hub)
                if stored is None or stored.document.id != operation_id:
                    return
                message = views.operation_message(stored.document)
                if message != sent:
                    yield message
                    sent = message
                if stored.document.done:
                    return
                await self._change(event)

    async def _change(self, event: asyncio.Event) -> None:
        """Wait for one. Unavailable if the register is lost meanwhile; if it was lost before, perhaps nobody has it."""
        had_it = False
        while not event.is_set():
            age_s = self.snapshot.mirror.age_s()
            if had_it and age_s > LOST_S:
                raise Unavailable(f"this coordinator has not heard from the register for {age_s:.0f} s")
            had_it = had_it or age_s <= STALE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await event.wait()

    async def _appear(self, name: str, operation_id: str, event: asyncio.Event) -> str:
        try:
            async with asyncio.timeout(APPEAR_S):
                while True:
                    event.clear()
                    record = self.snapshot.find(name)
                    stored = self.snapshot.operation(record.document.uid) if record is not None else None
                    if stored is not None and stored.document.id == operation_id:
                        return stored.document.hub
                    await event.wait()
        except TimeoutError:
            raise NotFound(f"{name} has no operation {operation_id}: a newer one took its place") from None

    def _news(self, name: str, sent: dict[str, types_pb2.Hub]) -> Iterator[control_pb2.WatchResponse]:
        revision = self.snapshot.mirror.revision
        present: set[str] = set()
        for stored in self.snapshot.under(keys.CLASSROOMS, ClassroomRecord):
            hub_name = stored.document.classroom.name
            if name and hub_name != name:
                continue
            present.add(hub_name)
            hub = views.hub_message(stored, self.snapshot)
            if sent.get(hub_name) != hub:
                sent[hub_name] = hub
                yield control_pb2.WatchResponse(hub=hub, revision=revision)
        for gone in set(sent) - present:
            yield control_pb2.WatchResponse(hub=sent.pop(gone), removed=True, revision=revision)

    @contextmanager
    def _waits_for(self, name: str) -> Iterator[asyncio.Event]:
        waiter = (name, asyncio.Event())
        self._waiting.append(waiter)
        try:
            yield waiter[1]
        finally:
            self._waiting.remove(waiter)
