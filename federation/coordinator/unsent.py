"""Hands work that a lost site had not sent back to its students: read the facts, ask `core.unsent`, carry out one move.

The record of each (hub, former owner, epoch) is written by the takeover itself, so that nothing is forgotten whoever
leads. Every move may be repeated: a copy too many is nobody's, and a folder that is there is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import assert_never

import structlog

from federation.api.v1 import agent_pb2
from federation.coordinator.copying import copies_password, copy_message, kept_for
from federation.coordinator.events import Journalist
from federation.coordinator.observations import Observations
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import epoch_message
from federation.core.unsent import Finish, Forget, Place, PlaceAgain, Save, UnsentFacts, Wait, next_move, what
from federation.model.errors import Conflict, DriverError, FederationError, Unavailable
from federation.model.homes import CopyPoint, Unsent, UnsentHome, UnsentStep
from federation.store import keys
from federation.store.interface import Guard
from federation.store.register import Changes, Register, Stored

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 1  # at one site: its classes of now come first
LOOK_S, SOON_S, REST_S = 5.0, 1.0, 60.0
LIMIT_S = 3600.0


@dataclass(slots=True)
class UnsentLoop:
    """`reconcile(key)`, where key is what follows `unsent/` in the register."""

    register: Register
    snapshot: Snapshot
    observations: Observations
    sessions: Sessions
    journalist: Journalist
    leader_guard: Callable[[], Guard]
    random: Random
    actor: str
    _running: Counter[str] = field(default_factory=Counter)
    _written: dict[str, int] = field(default_factory=dict)  # key -> revision of this leader's last write

    def keys(self) -> list[str]:
        """Every record."""
        return [entry.key.removeprefix(keys.UNSENT) for entry in self.snapshot.mirror.entries(keys.UNSENT)]

    async def reconcile(self, key: str) -> float | None:
        """One move of one record."""
        stored = self.snapshot.get(f"{keys.UNSENT}{key}", Unsent)
        if stored is None:
            return None
        if self.snapshot.mirror.revision < self._written.get(stored.key, 0):
            return SOON_S  # what was written is not seen back yet: nothing so large is ordered twice
        move = next_move(self._facts(stored.document))
        busy = move.site if isinstance(move, Place) else stored.document.site if isinstance(move, Save) else ""
        if busy and self._running[busy] >= MOST_AT_ONCE:
            return SOON_S
        match move:
            case Save():
                return await self._at(busy, stored, self._save(stored))
            case Place():
                return await self._at(busy, stored, self._place(stored, move))
            case PlaceAgain():
                back = stored.document.revise(step=UnsentStep.SAVED, placed=None, placed_epoch=None, placed_at="")
                await self._commit(stored, self._put(stored, back))
            case Finish(message):
                await self._finish(stored, message)
            case Forget():
                await self._commit(stored, self._guarded(stored).delete(stored.key))
            case Wait(reason):
                await self._wait(stored, reason)
                return REST_S if stored.document.step is UnsentStep.DONE else LOOK_S
            case _ as never:
                assert_never(never)
        return 0.0

    def _facts(self, work: Unsent) -> UnsentFacts:
        hub = work.hub
        record, ownership = self.snapshot.classroom_of(hub), self.snapshot.ownership(hub)
        generation, index = self.snapshot.in_force(hub), self.snapshot.home(hub)
        classroom = generation.classroom if generation is not None else None
        return UnsentFacts(
            work=work,
            ownership=ownership.document if ownership is not None else None,
            settled=self._settled(hub),
            deleted=record is not None and record.document.homes_deleted,
            lasting=classroom is None or classroom.spec.storage.protection is not None,
            index=index.document if index is not None else None,
            now=self.journalist.clock.now(),
            keep_s=kept_for(classroom),
        )

    def _settled(self, hub: str) -> bool:
        """The owner serves at the epoch of now, and no operation wants to change that."""
        ownership, operation = self.snapshot.ownership(hub), self.snapshot.operation(hub)
        if ownership is None or ownership.document.owner is None or operation is None or not operation.document.done:
            return False
        seen = self.observations.seen(ownership.document.owner, hub, ownership.document.epoch)
        return seen is not None and seen.epoch_matches and seen.phase == "serving"

    async def _at(self, site: str, stored: Stored[Unsent], act: Awaitable[float]) -> float:
        """Carry something out at a site that has a slot; why it cannot be done is on record."""
        self._running[site] += 1
        try:
            return await act
        except Conflict:
            raise
        except FederationError as error:
            await self._wait(stored, error.message)
            return LOOK_S if isinstance(error, Unavailable) else REST_S
        finally:
            self._running[site] -= 1

    async def _save(self, stored: Stored[Unsent]) -> float:
        work = stored.document
        order = agent_pb2.SaveUnsentAsk(
            hub=work.hub,
            epoch=epoch_message(work.epoch),
            base=copy_message(work.hub, work.base),
            run=f"{self.random.getrandbits(48):012x}",
            password=self._password(work.hub, work.site),
        )
        answer = await self.sessions.ask(work.site, agent_pb2.Ask(save_unsent=order), limit_s=LIMIT_S)
        if answer.error:
            raise DriverError(f"{work.site}: {answer.error}")
        said = answer.unsent
        if not said.snapshot:
            nothing = f"{work.site} had nothing that is not in the copy of then"
            nothing += f", or it could not be read: {said.unread[0]}" if said.unread else ""
            await self._finish(stored, said.gone or nothing)
            return 0.0
        saved = work.revise(
            step=UnsentStep.SAVED,
            saved=CopyPoint(site=work.site, snapshot=said.snapshot),
            homes=tuple(UnsentHome(name=home.name, files=home.files, bytes=home.bytes) for home in said.homes),
            unread=len(said.unread),
            message="",
        )
        message = f"{work.site} had not sent {what(saved)} when it was taken over from"
        changes = self._put(stored, saved)
        self.journalist.add(changes, "homes.unsent", message, hub=work.hub, site=work.site, actor=self.actor)
        await self._commit(stored, changes)
        return 0.0

    async def _place(self, stored: Stored[Unsent], move: Place) -> float:
        work, roster = stored.document, self.snapshot.roster(stored.document.hub)
        if work.saved is None:
            raise DriverError(f"{stored.key} is at {work.step} without a copy: the register was changed by hand")
        order = agent_pb2.RecoverAsk(
            copy=copy_message(work.hub, work.saved),
            epoch=epoch_message(move.epoch),
            folder=work.folder,
            users=[user.name for user in roster.document.users] if roster is not None else [],
            password=self._password(work.hub, move.site),
        )
        answer = await self.sessions.ask(move.site, agent_pb2.Ask(recover=order), limit_s=LIMIT_S)
        if answer.error:
            raise DriverError(f"{move.site}: {answer.error}")
        if answer.placed.unknown:  # of students that only the lost site knew, until they sign in here
            whose = ", ".join(answer.placed.unknown)
            await self._wait(stored, f"nobody knows yet whose homes these are: {whose}; the others have their files")
            return REST_S
        placed = work.revise(
            step=UnsentStep.PLACED,
            placed_at=move.site,
            placed_epoch=move.epoch,
            placed=self.journalist.clock.now(),
            message="",
        )
        changes = self._put(stored, placed)
        message = f"{what(work)} of {work.site} in {work.folder} of their homes"
        self.journalist.add(changes, "homes.recovered", message, hub=work.hub, site=move.site, actor=self.actor)
        await self._commit(stored, changes)
        return 0.0

    async def _finish(self, stored: Stored[Unsent], message: str) -> None:
        done = stored.document.revise(step=UnsentStep.DONE, ended=self.journalist.clock.now(), message=message)
        changes = self._put(stored, done)
        if not done.homes:
            self.journalist.add(
                changes, "homes.nothing-unsent", message, hub=done.hub, site=done.site, actor=self.actor
            )
        await self._commit(stored, changes)

    async def _wait(self, stored: Stored[Unsent], reason: str) -> None:
        """The reason is stored on change, so that whoever waits sees what for."""
        if stored.document.message != reason:
            try:
                await self._commit(stored, self._put(stored, stored.document.revise(message=reason)))
            except FederationError as error:
                log.info("unsent.reason-not-kept", key=stored.key, error=error.message)

    def _password(self, hub: str, site: str) -> bytes:
        password = copies_password(self.snapshot, hub, site)
        if not password:
            raise DriverError(f"{site} cannot open the copies: their password was not sealed to it")
        return password

    async def _commit(self, stored: Stored[Unsent], changes: Changes) -> None:
        self._written[stored.key] = (await self.register.commit(changes)).revision

    def _put(self, stored: Stored[Unsent], after: Unsent) -> Changes:
        return self._guarded(stored).put(stored.key, after)

    def _guarded(self, stored: Stored[Unsent]) -> Changes:
        return Changes().only_if(self.leader_guard()).unchanged(stored.key, stored)
