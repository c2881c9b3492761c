"""What every store promises (federation.store.interface); run on the in-memory twin and on a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from itertools import count
from typing import Any

import pytest

from federation.model.errors import Conflict, InvalidRequest, NotFound, Unavailable
from federation.runtime.clock import SystemClock
from federation.store.interface import (
    MAX_OPERATIONS,
    MAX_REQUEST_BYTES,
    Batch,
    ChangeKind,
    Compacted,
    Guard,
    Put,
    Store,
    Transaction,
)
from federation.store.memory import MemoryStore
from tests.support.etcd import EtcdCluster, answers, etcd

NUMBERS = count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    with etcd() as running:
        yield running


@pytest.fixture(params=["memory", "etcd"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """Each test has its own: in memory, or below its own prefix of one etcd."""
    if request.param == "memory":
        yield MemoryStore(SystemClock(), progress_s=0.2)
        return
    running: EtcdCluster = request.getfixturevalue("cluster")
    real = running.store(f"test-{next(NUMBERS)}", silence_s=1.5)
    await answers(real)
    yield real
    await real.close()


async def put(store: Store, key: str, value: str = "v", **more: Any) -> int:
    return (await store.commit(Transaction(puts=(Put(key, value.encode(), **more),)))).revision


async def delete(store: Store, *keys: str) -> int:
    return (await store.commit(Transaction(deletes=keys))).revision


async def collect(store: Store, prefix: str, from_revision: int, changes: int) -> list[Batch]:
    """Batches that are not empty, until so many changes came."""
    got: list[Batch] = []
    stream: Any = store.watch(prefix, from_revision)
    async with asyncio.timeout(10), aclosing(stream):
        async for batch in stream:
            if batch.changes:
                got.append(batch)
            if sum(len(b.changes) for b in got) >= changes:
                return got
    return got


async def test_what_is_put_is_read_with_its_revisions(store: Store) -> None:
    first = await put(store, "hub/a", "1")
    second = await put(store, "hub/a", "2")
    entry = await store.get("hub/a")
    assert entry is not None
    assert (entry.value, entry.revision, entry.created) == (b"2", second, first)
    assert await store.get("hub/b") is None
    await delete(store, "hub/a")
    assert await store.get("hub/a") is None


async def test_a_key_made_again_is_a_new_key(store: Store) -> None:
    """The election's epoch is the create revision of its key: it must rise."""
    first = await put(store, "leader")
    await delete(store, "leader")
    await put(store, "leader")
    entry = await store.get("leader")
    assert entry is not None
    assert entry.created > first


async def test_a_listing_is_sorted_and_stays_below_its_prefix(store: Store) -> None:
    for key in ("hub/b", "hub/a", "hub", "hubs/c", "owned/x"):
        await put(store, key)
    listing = await store.list("hub/")
    assert [entry.key for entry in listing.entries] == ["hub/a", "hub/b"]
    assert [entry.key for entry in (await store.list("")).entries] == ["hub", "hub/a", "hub/b", "hubs/c", "owned/x"]


async def test_a_listing_of_many_keys_is_one_view(store: Store) -> None:
    for begin in range(0, 1200, 100):
        puts = tuple(Put(f"many/{n:05}", b"x") for n in range(begin, begin + 100))
        await store.commit(Transaction(puts=puts))
    listing = await store.list("many/")
    assert [entry.key for entry in listing.entries] == [f"many/{n:05}" for n in range(1200)]
    assert listing.revision >= listing.entries[-1].revision


async def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    await put(store, "a", "1")
    before = (await store.list("")).revision
    with pytest.raises(Conflict) as refused:
        await store.commit(
            Transaction(guards=(Guard.absent("a"),), puts=(Put("b", b"1"), Put("c", b"1")), deletes=("a",))
        )
    assert refused.value.definite
    listing = await store.list("")
    assert [entry.key for entry in listing.entries] == ["a"]
    assert listing.revision == before


async def test_each_kind_of_guard_holds_and_fails(store: Store) -> None:
    created = await put(store, "k", "1")
    changed = await put(store, "k", "2")
    good = (Guard("k", revision=changed), Guard("k", created=created), Guard("k", value=b"2"), Guard.absent("none"))
    await store.commit(Transaction(guards=good, puts=(Put("done", b""),)))
    bad = (
        Guard("k", revision=created),
        Guard("k", created=changed),
        Guard("k", value=b"1"),
        Guard.absent("k"),
        Guard("none", revision=changed),
        Guard("none", value=b""),
        Guard("none", created=created),
    )
    for guard in bad:
        with pytest.raises(Conflict):
            await store.commit(Transaction(guards=(guard,), puts=(Put("never", b""),)))
    assert await store.get("never") is None


async def test_reads_in_a_transaction_see_its_writes(store: Store) -> None:
    await put(store, "owned/iu/a", "old")
    committed = await store.commit(
        Transaction(
            puts=(Put("owned/iu/b", b"new"),),
            deletes=("owned/iu/a",),
            reads=("owned/iu/b", "owned/iu/a"),
            ranges=("owned/iu/",),
        )
    )
    assert committed.reads["owned/iu/a"] is None
    new = committed.reads["owned/iu/b"]
    assert new is not None
    assert new.revision == committed.revision
    assert [entry.key for entry in committed.ranges["owned/iu/"]] == ["owned/iu/b"]


async def test_of_two_writers_with_one_guard_one_wins(store: Store) -> None:
    async def take(name: str) -> bool:
        try:
            await store.commit(Transaction(guards=(Guard.absent("seat"),), puts=(Put("seat", name.encode()),)))
        except Conflict:
            return False
        return True

    won = await asyncio.gather(*(take(f"w{n}") for n in range(8)))
    assert sum(won) == 1


async def test_a_watch_tells_every_change_in_order_from_any_revision(store: Store) -> None:
    start = await put(store, "w/a", "1")
    await put(store, "elsewhere", "x")
    await put(store, "w/b", "2")
    await store.commit(Transaction(puts=(Put("w/a", b"3"),), deletes=("w/b",)))
    batches = await collect(store, "w/", start, 4)
    changes = [(c.kind, c.entry.key, c.entry.value) for batch in batches for c in batch.changes]
    assert changes[:2] == [(ChangeKind.PUT, "w/a", b"1"), (ChangeKind.PUT, "w/b", b"2")]
    assert sorted(changes[2:]) == [(ChangeKind.DELETE, "w/b", b""), (ChangeKind.PUT, "w/a", b"3")]
    assert [batch.revision for batch in batches] == sorted({batch.revision for batch in batches})

    resumed = await collect(store, "w/", batches[0].changes[0].entry.revision + 1, 3)
    assert next(c.entry.key for batch in resumed for c in batch.changes) == "w/b"


async def test_a_watch_hears_what_comes_later_and_says_so_when_nothing_does(store: Store) -> None:
    revision = await put(store, "w/a")
    stream: Any = store.watch("w/", revision + 1)
    async with asyncio.timeout(10), aclosing(stream):
        silent = await anext(stream)
        assert silent.changes == ()
        await put(store, "w/b")
        batch = await anext(stream)
        while not batch.changes:
            batch = await anext(stream)
    assert [change.entry.key for change in batch.changes] == ["w/b"]


async def test_a_revision_is_never_torn_into_two_batches(store: Store) -> None:
    start = (await store.list("")).revision + 1
    big = b"x" * 30_000
    await store.commit(Transaction(puts=tuple(Put(f"w/{n:03}", big) for n in range(40))))
    await put(store, "w/last")
    batches = await collect(store, "w/", start, 41)
    whole = [batch for batch in batches if len(batch.changes) >= 40]
    assert whole, [len(batch.changes) for batch in batches]


async def test_a_watch_from_before_the_compaction_is_told(store: Store) -> None:
    old = await put(store, "w/a", "1")
    for n in range(5):
        newest = await put(store, "w/a", str(n))
    await store.compact(newest)
    with pytest.raises(Compacted):
        await collect(store, "w/", old, 1)
    assert len(await collect(store, "w/", newest, 1)) == 1
    await store.compact(newest)  # again: nothing happens
    entry = await store.get("w/a")
    assert entry is not None
    assert entry.value == b"4"


async def test_compacting_the_future_is_refused(store: Store) -> None:
    with pytest.raises(InvalidRequest):
        await store.compact((await store.list("")).revision + 100)


async def test_keys_of_a_lease_vanish_when_it_is_not_kept_alive(store: Store) -> None:
    lease = await store.lease_grant(1)
    await put(store, "leader", lease=lease)
    start = (await store.list("")).revision + 1
    assert await store.lease_keepalive(lease) > 0
    gone = await collect(store, "leader", start, 1)
    assert gone[0].changes[0].kind is ChangeKind.DELETE
    assert await store.get("leader") is None
    assert await store.lease_keepalive(lease) == 0


async def test_a_revoked_lease_takes_its_keys_along_and_unknown_ones_do_no_harm(store: Store) -> None:
    lease = await store.lease_grant(60)
    await put(store, "leader", lease=lease)
    await store.lease_revoke(lease)
    assert await store.get("leader") is None
    await store.lease_revoke(lease)
    with pytest.raises(NotFound):
        await put(store, "leader", lease=lease)


@pytest.mark.parametrize(
    "transaction",
    [
        Transaction(puts=tuple(Put(f"k{n}", b"") for n in range(MAX_OPERATIONS + 1))),
        Transaction(puts=(Put("k", b"x" * MAX_REQUEST_BYTES),)),
        Transaction(puts=(Put("k", b"1"), Put("k", b"2"))),
        Transaction(puts=(Put("", b"1"),)),
        Transaction(guards=(Guard("k"),)),
        Transaction(guards=(Guard("k", revision=1, value=b""),)),
    ],
    ids=["too-many", "too-big", "twice", "no-name", "guard-of-nothing", "guard-of-two"],
)
async def test_what_cannot_be_is_refused_before_anything_is_sent(store: Store, transaction: Transaction) -> None:
    before = (await store.list("")).revision
    with pytest.raises(InvalidRequest):
        await store.commit(transaction)
    assert (await store.list("")).revision == before


async def test_status_names_version_and_alarms(store: Store) -> None:
    status = await store.status()
    assert status.version
    assert status.alarms == ()
    assert status.revision == (await store.list("")).revision


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(Unavailable):
        await store.get("k")
