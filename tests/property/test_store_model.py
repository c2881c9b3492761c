"""The memory store against the simplest model there is: a register is a list of dictionaries, one for each revision.

Commands are generated without knowing any revision; they speak of keys "as they are now" or "as they were". So the same
commands run on every store, and what it answers, counted from the revision at which it began, can be compared.
`tests/contract/test_store_twin.py` gives them to a real etcd as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from federation.model.errors import Conflict, FederationError, InvalidRequest, NotFound
from federation.runtime.clock import SystemClock
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
    Store,
    Transaction,
)
from federation.store.memory import MemoryStore

quick = settings(deadline=None, max_examples=150)
KEYS = ["a", "a/", "a/b", "a/c", "ab", "b", "é", "é/𝄞"]
PREFIXES = ["", "a", "a/", "a/b", "b", "é", "none/"]
LEASES = 3
LONG_S = 600.0


class As(Enum):
    """What a guard compares a key with."""

    ABSENT = auto()
    IT_IS = auto()
    MADE = auto()
    VALUED = auto()
    IT_WAS = auto()
    MADE_BEFORE = auto()
    VALUED_OTHERWISE = auto()


@dataclass(frozen=True)
class Write:
    """A transaction. `puts` are (key, value, which lease, if any)."""

    guards: tuple[tuple[str, As], ...] = ()
    puts: tuple[tuple[str, bytes, int | None], ...] = ()
    deletes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """Read one key and list one prefix."""

    key: str
    prefix: str


@dataclass(frozen=True)
class Watch:
    """Put a key below `prefix`, then watch from `back` revisions ago until that change is told."""

    prefix: str
    back: int


@dataclass(frozen=True)
class Compact:
    """Forget what is older than `back` revisions."""

    back: int


@dataclass(frozen=True)
class Grant:
    """Grant a lease, which commands call by its number; one that has that number already is forgotten."""

    lease: int


@dataclass(frozen=True)
class Revoke:
    lease: int


Command = Write | Look | Watch | Compact | Grant | Revoke
Answer = tuple[Any, ...]

keys, prefixes, back = st.sampled_from(KEYS), st.sampled_from(PREFIXES), st.integers(0, 8)
leases = st.integers(0, LEASES - 1)


def some(one: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(one, max_size=most).map(tuple)


values = st.sampled_from([b"", b"1", b"2", b"\xff"])
writes = st.builds(
    Write,
    guards=some(st.tuples(keys, st.sampled_from(As))),
    puts=some(st.tuples(keys, values, st.none() | leases)),
    deletes=some(keys),
    reads=some(keys),
    ranges=some(prefixes),
)
simple_writes = st.builds(Write, puts=st.tuples(st.tuples(keys, values, st.none()))) | st.builds(
    Write, deletes=st.tuples(keys)
)
looks, watches = st.builds(Look, keys, prefixes), st.builds(Watch, prefixes, back)
compactions = st.builds(Compact, back)
lease_commands = st.builds(Grant, leases) | st.builds(Revoke, leases)
commands = st.lists(simple_writes | writes | looks | watches | compactions | lease_commands, max_size=25)


class ModelStore:
    """A store that nobody would run: it keeps a whole copy of everything for every revision."""

    def __init__(self) -> None:
        self.revisions: list[dict[str, Entry]] = [{}]
        self.lease_of: dict[str, int] = {}
        self.leases: set[int] = set()
        self.next_lease = 1
        self.compacted = -1

    @property
    def now(self) -> dict[str, Entry]:
        return self.revisions[-1]

    @property
    def revision(self) -> int:
        return len(self.revisions) - 1

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        return self.now.get(key)

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        return Listing(self.below(prefix), self.revision)

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        written = [*(put.key for put in transaction.puts), *transaction.deletes]
        if len(set(written)) < len(written):
            raise InvalidRequest("a key twice")
        if not all(map(self.holds, transaction.guards)):
            raise Conflict("a guard does not hold")
        if any(put.lease and put.lease not in self.leases for put in transaction.puts):
            raise NotFound("no such lease")
        self.change(transaction.puts, transaction.deletes)
        reads = {key: self.now.get(key) for key in transaction.reads}
        return Committed(self.revision, reads, {prefix: self.below(prefix) for prefix in transaction.ranges})

    async def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        if from_revision <= self.compacted:
            raise Compacted
        for revision in range(max(from_revision, 1), self.revision + 1):
            before, after = self.revisions[revision - 1], self.revisions[revision]
            changed = [Change(ChangeKind.PUT, e) for key, e in after.items() if before.get(key) != e]
            gone = [Change(ChangeKind.DELETE, Entry(key, b"", revision, 0)) for key in before.keys() - after.keys()]
            yield Batch(tuple(c for c in changed + gone if c.entry.key.startswith(prefix)), revision)

    async def lease_grant(self, ttl_s: float) -> int:
        self.leases.add(self.next_lease)
        self.next_lease += 1
        return self.next_lease - 1

    async def lease_revoke(self, lease: int) -> None:
        self.leases.discard(lease)
        self.change((), tuple(key for key, owner in self.lease_of.items() if owner == lease))

    async def compact(self, revision: int) -> None:
        self.compacted = max(self.compacted, revision - 1)

    def below(self, prefix: str) -> tuple[Entry, ...]:
        return tuple(entry for key, entry in sorted(self.now.items()) if key.startswith(prefix))

    def holds(self, guard: Guard) -> bool:
        entry = self.now.get(guard.key)
        if guard.value is not None:
            return entry is not None and entry.value == guard.value
        if guard.created is not None:
            return guard.created == (entry.created if entry else 0)
        return guard.revision == (entry.revision if entry else 0)

    def change(self, puts: tuple[Put, ...], deletes: tuple[str, ...]) -> None:
        after = {key: entry for key, entry in self.now.items() if key not in deletes}
        for put in puts:
            old = self.now.get(put.key)
            after[put.key] = Entry(put.key, put.value, self.revision + 1, old.created if old else self.revision + 1)
            self.lease_of[put.key] = put.lease
        for key in deletes:
            self.lease_of.pop(key, None)
        if after != self.now:
            self.revisions.append(after)


@dataclass
class Client:
    """Carries commands out on any store, and tells its answers with revisions counted from where it began."""

    store: Store | ModelStore
    base: int
    leases: dict[int, int] = field(default_factory=dict)

    async def answer(self, command: Command) -> Answer:
        try:
            match command:
                case Write():
                    return await self.write(command)
                case Look(key, prefix):
                    entry, listing = await self.store.get(key), await self.store.list(prefix)
                    return self.seen(entry), *map(self.seen, listing.entries), listing.revision - self.base
                case Watch(prefix, back):
                    return await self.watch(prefix, back)
                case Compact(back):
                    await self.store.compact(max(await self.revision() - back, self.base + 1))
                    return ("compacted",)
                case Grant(lease):
                    self.leases[lease] = await self.store.lease_grant(LONG_S)
                    return ("granted",)
                case Revoke(lease):
                    if lease in self.leases:
                        await self.store.lease_revoke(self.leases[lease])
                    return ("left", await self.revision() - self.base)
        except (FederationError, Compacted) as error:
            return (type(error).__name__,)

    async def write(self, command: Write) -> Answer:
        transaction = Transaction(
            guards=tuple([await self.guard(key, how) for key, how in command.guards]),
            puts=tuple(
                Put(key, value, 0 if lease is None else self.leases.get(lease, 0)) for key, value, lease in command.puts
            ),
            deletes=command.deletes,
            reads=command.reads,
            ranges=command.ranges,
        )
        done = await self.store.commit(transaction)
        reads = {key: self.seen(entry) for key, entry in done.reads.items()}
        ranges = {prefix: [self.seen(entry) for entry in entries] for prefix, entries in done.ranges.items()}
        return done.revision - self.base, reads, ranges

    async def watch(self, prefix: str, back: int) -> Answer:
        """Changes of one revision have no order among them."""
        start = max(await self.revision() - back, self.base + 1)
        return tuple(await self.collect(prefix, start, await self.mark(prefix)))

    async def mark(self, prefix: str) -> int:
        """A change below `prefix`, so that a watch is known to come to an end."""
        return (await self.store.commit(Transaction(puts=(Put(f"{prefix}end", b""),)))).revision

    async def collect(self, prefix: str, start: int, end: int) -> list[Answer]:
        """Every change from revision `start` to `end`, below `prefix`; at least one must be at `end`."""
        stream: Any = self.store.watch(prefix, start)
        async with asyncio.timeout(20), aclosing(stream):
            return await self.tell(stream, start, end)

    async def tell(self, stream: AsyncIterator[Batch], start: int, end: int) -> list[Answer]:
        """What a watch that began at `start` tells until it has told a change at `end`."""
        told: list[Answer] = []
        covered = start - 1
        while not told or told[-1][0] < end - self.base:
            batch = await anext(stream)
            assert all(covered < change.entry.revision <= batch.revision for change in batch.changes)
            covered = max(covered, batch.revision)
            told += sorted((c.entry.revision - self.base, c.kind, self.seen(c.entry)) for c in batch.changes)
        return told

    async def guard(self, key: str, how: As) -> Guard:
        entry = await self.store.get(key) or Entry(key, b"", 0, 0)
        return {
            As.ABSENT: Guard.absent(key),
            As.IT_IS: Guard(key, revision=entry.revision),
            As.MADE: Guard(key, created=entry.created),
            As.VALUED: Guard(key, value=entry.value),
            As.IT_WAS: Guard(key, revision=max(entry.revision - 1, 0)),
            As.MADE_BEFORE: Guard(key, created=max(entry.created - 1, 0)),
            As.VALUED_OTHERWISE: Guard(key, value=entry.value + b"!"),
        }[how]

    async def revision(self) -> int:
        return (await self.store.list("none/")).revision

    def seen(self, entry: Entry | None) -> Answer | None:
        if entry is None:
            return None
        created = entry.created and entry.created - self.base  # a deletion has none
        return entry.key, entry.value, entry.revision - self.base, created


async def client(store: Store | ModelStore) -> Client:
    return Client(store, (await store.list("")).revision)


async def answers(store: Store | ModelStore, given_commands: list[Command]) -> list[Answer]:
    """What the store says to each command."""
    one = await client(store)
    return [await one.answer(command) for command in given_commands]


def memory() -> MemoryStore:
    return MemoryStore(SystemClock(), progress_s=0.01)


@quick
@given(commands)
@example([Grant(0), Write(puts=(("a", b"1", 0),)), Write(puts=(("a", b"2", None),)), Revoke(0), Look("a", "")])
@example([Write(puts=(("a", b"1", None),)), Write(deletes=("a", "b")), Watch("", 8), Compact(0), Watch("", 8)])
async def test_the_memory_store_answers_like_the_model(given_commands: list[Command]) -> None:
    assert await answers(memory(), given_commands) == await answers(ModelStore(), given_commands)


@quick
@given(st.lists(simple_writes | writes | lease_commands, max_size=20), prefixes, st.data())
async def test_a_watch_that_listened_and_one_that_resumes_tell_exactly_the_changes(
    given_commands: list[Command], prefix: str, data: st.DataObject
) -> None:
    one, simple = await client(memory()), await client(ModelStore())
    live: Any = one.store.watch(prefix, one.base + 1)
    heard: list[Answer] = []
    end = one.base
    for command in [*given_commands, None]:
        if command is not None:
            assert await one.answer(command) == await simple.answer(command)
        if command is None or data.draw(st.booleans(), label="listens now"):
            start, end = end + 1, await one.mark(prefix)
            await simple.mark(prefix)
            heard += await one.tell(live, start, end)
    await live.aclose()
    assert heard == await simple.collect(prefix, 1, end - one.base)
    resumed_at = data.draw(st.integers(1, end - one.base))
    resumed = await one.collect(prefix, one.base + resumed_at, end)
    assert resumed == [change for change in heard if change[0] >= resumed_at]


@quick
@given(st.lists(simple_writes | writes, max_size=15), writes)
async def test_a_transaction_that_is_refused_leaves_no_trace(history: list[Command], command: Write) -> None:
    store = memory()
    one = await client(store)
    for earlier in history:
        await one.answer(earlier)
    before = await store.list("")
    (first, *_rest) = await one.answer(command)
    refused = isinstance(first, str)
    effective = bool(command.puts) or any(entry.key in command.deletes for entry in before.entries)
    after = await store.list("")
    assert (after == before) == (refused or not effective)
    assert after.revision == before.revision + (effective and not refused)
