"""Typed documents on a `Store`: JSON with a schema version, and the register's id compared in every transaction.

Nothing else writes to the store. A `Conflict` whose cause is another register id becomes a `RegisterFault`: positive
evidence of a different register is never mistaken for a lost race (DESIGN.md 4.7, PROTOCOL.md H6).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import ValidationError

from federation.model.errors import Conflict, FederationError, RegisterFault
from federation.model.identity import RegisterId
from federation.model.placing import UserRecord
from federation.model.recovery import Recovery, RecoveryStep
from federation.model.schema import Document
from federation.store import keys
from federation.store.interface import Committed, Entry, Guard, Listing, Put, Store, Transaction
from federation.store.remembered import RememberedRegister

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True)
class Stored(Generic[D]):
    """A document as read, with the register revision of its last change."""

    key: str
    document: D
    revision: int


def encode(document: Document) -> bytes:
    """JSON with the schema version first; equal documents give equal bytes."""
    fields = document.model_dump(mode="json", exclude_none=True)
    return json.dumps({"schema": document.SCHEMA, **fields}, separators=(",", ":"), ensure_ascii=False).encode()


def decode(entry: Entry, kind: type[D]) -> Stored[D]:
    """Read a document; RegisterFault if it is none or was written by a newer version."""
    try:
        fields = json.loads(entry.value)
        schema = fields.pop("schema")
        if schema > kind.SCHEMA:
            raise RegisterFault(
                f"{entry.key} has schema {schema}, this coordinator knows {kind.SCHEMA}",
                help="Upgrade this coordinator.",
            )
        document = kind.model_validate(fields, by_alias=False, by_name=True)
        return Stored(entry.key, document, entry.revision)
    except (ValueError, KeyError, AttributeError, ValidationError) as error:
        raise RegisterFault(f"{entry.key} at revision {entry.revision} is not a {kind.__name__}: {error}") from error


def check_known(listing: Listing, uuid: str, remembered: RememberedRegister | None) -> RegisterId | None:
    """The id of the register whose whole listing this is; None: it is empty, and a new one may be. RegisterFault if it is
    not the register that the federation file names and this coordinator remembers, or is being recovered."""
    entries = {entry.key: entry for entry in listing.entries}
    entry, under_way = entries.get(keys.REGISTER_ID), entries.get(keys.RECOVERY)
    found = decode(entry, RegisterId).document if entry is not None else None
    if remembered is not None:
        remembered.check(found, listing.revision)
    if found is None and entries:
        raise RegisterFault(f"the register has no {keys.REGISTER_ID} but is not empty")
    if found is not None and found.uuid != uuid:
        raise RegisterFault(f"this is register {found.uuid}, the federation file says {uuid}")
    if under_way is not None and decode(under_way, Recovery).document.step is not RecoveryStep.DONE:
        raise RegisterFault(
            "a recovery of the register is under way", help="Finish it: `fedctl register recover`, as an admin."
        )
    return found


@dataclass(slots=True)
class Changes:
    """A transaction in the making. Each method returns the object, so that a change reads as one sentence."""

    guards: list[Guard] = field(default_factory=list)
    puts: list[Put] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def only_if(self, guard: Guard) -> Changes:
        """Any other comparison, e.g. that this coordinator still leads."""
        self.guards.append(guard)
        return self

    def absent(self, key: str) -> Changes:
        """Only if `key` does not exist."""
        return self.only_if(Guard.absent(key))

    def unchanged(self, key: str, stored: Stored[D] | None) -> Changes:
        """Only if `key` is still as it was read (None: still absent)."""
        return self.only_if(Guard(key, revision=stored.revision if stored else 0))

    def put(self, key: str, document: Document, *, lease: int = 0) -> Changes:
        """Write."""
        self.puts.append(Put(key, encode(document), lease))
        return self

    def delete(self, key: str) -> Changes:
        """Delete; an absent key is fine."""
        self.deletes.append(key)
        return self

    def read(self, key: str) -> Changes:
        """Read a key in the same transaction."""
        self.reads.append(key)
        return self

    def range(self, prefix: str) -> Changes:
        """Read a prefix in the same transaction."""
        self.ranges.append(prefix)
        return self


class Register:
    """The federation's register. `identity` is what every transaction compares."""

    def __init__(self, store: Store, identity: RegisterId) -> None:
        self.store = store
        self.identity = identity
        self._distrusted = ""
        self._went_back = False
        self._replaced = ""
        self._revision = 0  # of the newest transaction that was answered
        self.written = 0  # of the newest one that wrote something
        self.seen: Callable[[], int] = lambda: 0  # the highest revision that the owner of this object saw elsewhere
        self._identity_guard = Guard(keys.REGISTER_ID, value=encode(identity))

    @classmethod
    async def open(
        cls, store: Store, uuid: str, admins: tuple[str, ...] = (), remembered: RememberedRegister | None = None
    ) -> Register:
        """Open the register `uuid`, writing its id and its first `admins` into an empty one. RegisterFault if it is
        another one, if it holds documents but no id, or if it is not what this coordinator remembers (an emptied or
        restored register is not a new one)."""
        listing = await store.list("")
        found = check_known(listing, uuid, remembered)
        if found is None:
            fresh = RegisterId(uuid=uuid)
            first = [Put(keys.user(name), encode(UserRecord(name=name, roles=("admin",)))) for name in admins]
            puts = (Put(keys.REGISTER_ID, encode(fresh)), *first)
            try:
                await store.commit(Transaction(guards=(Guard.absent(keys.REGISTER_ID),), puts=puts))
            except Conflict:
                return await cls.open(store, uuid, admins, remembered)  # another coordinator was first
            return cls(store, fresh)
        return cls(store, found)

    @classmethod
    def doubted(cls, store: Store, uuid: str, remembered: RememberedRegister, problem: str) -> Register:
        """A register that is not believed: nothing is read from it or written to it but by a recovery."""
        known = remembered.known if remembered.known is not None and remembered.known.uuid == uuid else None
        register = cls(store, known or RegisterId(uuid=uuid))
        register._distrusted = problem
        return register

    async def is_right_again(self, remembered: RememberedRegister) -> bool:
        """Whether the known register is back, so that a fresh start would open it. Never of one that was seen to go back:
        when it has caught up it is another history all the same."""
        if self._went_back:
            return False
        try:
            check_known(await self.store.list(""), self.identity.uuid, remembered)
        except FederationError:
            return False
        return True

    def distrust(self, problem: str) -> None:
        """It was seen to be behind itself: no more reads and writes until somebody has looked at it."""
        self._distrusted = problem
        self._went_back = True

    @property
    def fault(self) -> str:
        """Why this is not the register that was opened; empty: as far as is known, it is."""
        return self._distrusted or self._replaced

    async def read(self, key: str, kind: type[D]) -> Stored[D] | None:
        """Linearizable read of one document."""
        self._check_trust()
        entry = await self.store.get(key)
        return None if entry is None else decode(entry, kind)

    async def read_many(self, *names: str) -> dict[str, Entry | None]:
        """Linearizable read of several keys at one revision, in one round trip."""
        return (await self.commit(Changes(reads=list(names)))).reads

    async def commit(self, changes: Changes) -> Committed:
        """All or nothing; `Conflict` if a guard does not hold, `RegisterFault` if this is another register."""
        self._check_trust()
        transaction = Transaction(
            guards=(self._identity_guard, *changes.guards),
            puts=tuple(changes.puts),
            deletes=tuple(changes.deletes),
            reads=tuple(changes.reads),
            ranges=tuple(changes.ranges),
        )
        before = max(self._revision, self.seen())
        try:
            committed = await self.store.commit(transaction)
        except Conflict:
            entry = await self.store.get(keys.REGISTER_ID)
            if entry is None or entry.value != self._identity_guard.value:
                self._replaced = "the register's id changed"
                raise RegisterFault(f"{self._replaced}: nothing was written") from None
            raise
        self._replaced = ""
        if committed.revision < before:  # transactions are in order: an older register was put in this one's place
            self.distrust(f"the register is at revision {committed.revision}, {before} was seen before")
            self._check_trust()
        self._revision = max(self._revision, committed.revision)
        if changes.puts or changes.deletes:
            self.written = max(self.written, committed.revision)
        return committed

    def _check_trust(self) -> None:
        if self._distrusted:
            raise RegisterFault(self._distrusted)
