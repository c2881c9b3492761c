"""The register on real etcd when things go wrong: kill -9, freezes, dead endpoints, a full quota, foreign certificates."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from federation.model.errors import (
    Conflict,
    DeadlineExceeded,
    FederationError,
    RegisterFault,
    RegisterFull,
    Unavailable,
)
from federation.model.identity import Epoch
from federation.model.status import HubPhase
from federation.runtime.clock import SystemClock
from federation.store import keys
from federation.store.etcd import EtcdStore
from federation.store.interface import Guard, Put, Transaction
from federation.store.memory import MemoryStore
from federation.store.mirror import Mirror
from federation.store.register import Register
from tests.simulation.test_place import begin, observed_phase, place, served, until
from tests.support.certificates import Certificates
from tests.support.etcd import EtcdCluster, answers, etcd, free_ports
from tests.support.lost_register import Onlooker, began_anew, recovered
from tests.support.virtual import virtual_federation

REMEMBERED_S = 3.0  # renewals and mirror see revisions that the backup does not have
DOCTOR_S = 3.0  # what `fedctl doctor` waits for one coordinator
UUID, OTHER = "0b9a1f1e-0000-4000-8000-000000000001", "0b9a1f1e-0000-4000-8000-000000000002"


@pytest.fixture
def alone() -> Iterator[EtcdCluster]:
    with etcd() as running:
        yield running


async def write(store: EtcdStore, key: str, value: bytes = b"v", **more: Any) -> int:
    return (await store.commit(Transaction(puts=(Put(key, value),)), **more)).revision


async def test_kill_9_loses_nothing_that_was_acknowledged(alone: EtcdCluster) -> None:
    async with alone.connected() as store:
        acknowledged: list[int] = []
        for n in range(300):
            if n % 100 == 99:
                alone.members[0].kill()
                alone.members[0].start()
                await answers(store)
            await write(store, f"k/{n:03}")
            acknowledged.append(n)
        found = {entry.key for entry in (await store.list("k/")).entries}
        assert found == {f"k/{n:03}" for n in acknowledged}


async def test_a_commit_that_meets_a_kill_says_whether_it_is_known(alone: EtcdCluster) -> None:
    """Definite errors are true: what was called surely not written is not there."""
    async with alone.connected(timeout_s=2.0) as store:
        surely_not: list[str] = []
        killer = asyncio.get_running_loop().call_later(0.3, alone.members[0].kill)
        for n in range(3000):
            try:
                await write(store, f"k/{n:04}")
            except FederationError as error:
                if error.definite:
                    surely_not.append(f"k/{n:04}")
                break
        else:
            pytest.fail("never killed")
        killer.cancel()
        with pytest.raises(Unavailable) as refused:
            await write(store, "k/down", timeout_s=1.0)
        assert refused.value.definite
        alone.members[0].start()
        await answers(store)
        found = {entry.key for entry in (await store.list("k/")).entries}
        assert found.isdisjoint({*surely_not, "k/down"})


async def test_a_frozen_register_is_noticed_by_calls_and_by_watches(alone: EtcdCluster) -> None:
    async with alone.connected(timeout_s=1.0, silence_s=1.5) as store:
        revision = await write(store, "k")
        stream: Any = store.watch("", revision + 1)
        await anext(stream)
        alone.members[0].signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded) as late:
            await write(store, "k")
        assert not late.value.definite
        with pytest.raises(Unavailable):
            await listen(stream)
        assert time.monotonic() - began < 6
        alone.members[0].signal(signal.SIGCONT)
        await answers(store)


async def test_a_dead_first_endpoint_costs_little(alone: EtcdCluster) -> None:
    dead = f"127.0.0.1:{free_ports(1)[0]}"
    store = alone.store(endpoints=(dead, *alone.endpoints))
    try:
        await answers(store)
        began = time.monotonic()
        for n in range(10):
            await write(store, f"k/{n}")
        assert time.monotonic() - began < 5
        assert (await store.status()).endpoint == alone.endpoints[0]
    finally:
        await store.close()


async def test_how_the_register_is_is_known_before_a_person_loses_patience() -> None:
    with etcd(3) as cluster:
        async with cluster.connected() as store:
            cluster.members[0].signal(signal.SIGSTOP)
            await answers(store)  # the others may have had to elect
            async with asyncio.timeout(DOCTOR_S):
                assert (await store.status()).endpoint in cluster.endpoints[1:]
            cluster.members[1].signal(signal.SIGSTOP)
            async with asyncio.timeout(DOCTOR_S):
                # nobody answers in time, or the one that is left says that it has no majority
                with pytest.raises(Unavailable, match=r"no register member answered|timed out"):
                    await store.status()


async def test_of_three_members_any_one_may_die() -> None:
    with etcd(3) as cluster:
        async with cluster.connected(timeout_s=10.0) as store:
            for victim in cluster.members:
                await write(store, "before")
                victim.kill()
                async with asyncio.timeout(20):
                    while True:  # while the others elect, a write may end as unknown: it is repeated by its author
                        try:
                            await write(store, "after")
                            break
                        except (Unavailable, DeadlineExceeded):
                            continue
                assert await store.get("after") is not None
                victim.start()
                again = cluster.store(endpoints=(victim.endpoint,))
                await answers(again)
                await again.close()


async def test_without_a_quorum_nothing_is_promised() -> None:
    with etcd(3) as cluster:
        async with cluster.connected(timeout_s=2.0) as store:
            await write(store, "k", b"1")
            for victim in cluster.members[:2]:
                victim.kill()
            with pytest.raises((Unavailable, DeadlineExceeded)):
                await write(store, "k", b"2")
            with pytest.raises(Unavailable):
                await store.get("k")
            for victim in cluster.members[:2]:
                victim.start()
            await answers(store)
            assert await store.get("k") is not None


async def test_a_full_quota_raises_its_alarm_and_can_be_mended(alone: EtcdCluster) -> None:
    with etcd(quota_bytes=4 * 2**20) as small:
        async with small.connected() as store:
            with pytest.raises(RegisterFull):
                await fill(store)
            assert "NOSPACE" in (await store.status()).alarms
            assert await store.get("big") is not None  # reads go on
            await store.compact((await store.list("")).revision)
            await store.defragment()
            await store.disarm()
            assert (await store.status()).alarms == ()
            await write(store, "small")


async def test_only_certificates_of_the_ca_are_let_in(tmp_path: Path) -> None:
    ours, foreign = Certificates(tmp_path / "ours"), Certificates(tmp_path / "foreign")
    with etcd(tls=ours.coordinator("etcd"), client_tls=ours.coordinator("c1")) as cluster:
        async with cluster.connected() as store:
            await write(store, "k")
        for tls in (foreign.coordinator("c1"), None):
            stranger = EtcdStore(cluster.endpoints, tls=tls, prefix="test", timeout_s=1.5)
            with pytest.raises(Unavailable):
                await stranger.get("k")
            await stranger.close()


async def test_two_federations_share_one_etcd_without_seeing_each_other(alone: EtcdCluster) -> None:
    async with alone.connected("one") as one, alone.connected("two") as two, alone.connected("on") as shorter:
        await write(one, "k", b"1")
        assert await two.get("k") is None
        assert (await shorter.list("")).entries == ()
        await two.commit(Transaction(guards=(Guard.absent("k"),), puts=(Put("k", b"2"),)))
        entry = await one.get("k")
        assert entry is not None
        assert entry.value == b"1"


async def test_a_mirror_follows_through_kill_and_compaction(alone: EtcdCluster) -> None:
    async with alone.connected(timeout_s=1.0, silence_s=1.0) as store:
        mirror = Mirror(store, clock=SystemClock())
        running = asyncio.get_running_loop().create_task(mirror.run())
        try:
            async with asyncio.timeout(30):
                await mirror.synced()
                await write(store, "a")
                await seen(mirror, "a")
                alone.members[0].kill()
                alone.members[0].start()
                await answers(store)
                for n in range(20):
                    revision = await write(store, f"b/{n}")
                await store.compact(revision)
                await seen(mirror, "b/19")
            assert len(mirror.entries("b/")) == 20
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_another_register_in_its_place_is_a_fault_not_a_lost_race(alone: EtcdCluster) -> None:
    async with alone.connected() as store:
        register = await Register.open(store, UUID)
        assert (await Register.open(store, UUID)).identity == register.identity
        with pytest.raises(RegisterFault):
            await Register.open(store, OTHER)
        await store.commit(Transaction(deletes=(keys.REGISTER_ID,), puts=(Put("hub/a", b"{}"),)))
        with pytest.raises(RegisterFault):
            await register.read_many("hub/a")
        with pytest.raises(RegisterFault):
            await Register.open(store, UUID)


async def test_a_register_that_went_back_in_time_is_not_believed() -> None:
    """An older copy of the data, put in place of the newer one: the mirror keeps what it knows."""
    with etcd() as newer, etcd() as older:
        async with newer.connected() as store, older.connected() as restored:
            for n in range(5):
                await write(store, f"k/{n}")
            mirror = Mirror(store, clock=SystemClock())
            mirror._take_listing(await store.list(""), 0.0)
            await write(restored, "k/0")
            listing = await restored.list("")
            with pytest.raises(RegisterFault):
                mirror._take_listing(listing, 0.0)
            assert len(mirror.entries("k/")) == 5


async def test_a_backup_that_is_put_back_under_a_federation_stops_nothing_and_is_made_anew() -> None:
    """Real etcd, coordinator and agents; sites in memory. The class is placed after the backup: only its site knows it."""
    with etcd() as cluster:
        async with cluster.connected(timeout_s=2.0, silence_s=2.0) as store, virtual_federation() as federation:
            federation.store = cast(MemoryStore, store)
            replica = await begin(federation)
            cluster.members[0].kill()
            cluster.members[0].keep("backup")
            cluster.members[0].start()
            await until(lambda: replica.mirror.age_s() < 1 and replica.standing.leads)
            hub = (await place(replica)).record.document.uid
            await served(replica, hub)
            await asyncio.sleep(REMEMBERED_S)
            onlooker = Onlooker(federation, hub)
            looking = asyncio.get_running_loop().create_task(onlooker.run())
            cluster.members[0].kill()
            cluster.members[0].put_back("backup")
            cluster.members[0].start()
            await until(lambda: bool(replica.ports.register.fault))
            await recovered(replica)
            replica = await began_anew(federation, "c1")
            await until(lambda: observed_phase(replica, hub) is HubPhase.SERVING)
            owned = replica.snapshot.owned("iu", hub)
            assert owned is not None
            assert owned.epoch == Epoch(era=2, n=1)
            assert replica.snapshot.find("atm101") is not None
            assert (onlooker.closed, onlooker.twice) == ([], [])
            looking.cancel()


async def test_conflicts_are_definite(alone: EtcdCluster) -> None:
    async with alone.connected() as store:
        await write(store, "k")
        with pytest.raises(Conflict) as lost:
            await store.commit(Transaction(guards=(Guard.absent("k"),), puts=(Put("k", b"2"),)))
        assert lost.value.definite


async def seen(mirror: Mirror, key: str) -> None:
    while mirror.get(key) is None:
        await asyncio.sleep(0.02)


async def fill(store: EtcdStore) -> None:
    for _ in range(100):
        await write(store, "big", b"x" * 1_000_000)


async def listen(stream: Any) -> None:
    async with asyncio.timeout(10):
        while True:
            await anext(stream)
