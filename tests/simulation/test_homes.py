"""Homes go along, on virtual time: copied while the class works, restored before a server starts, never empty or older."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from federation.coordinator.replica import Replica
from federation.core.copies import stale_after
from federation.model.homes import HomeIndex
from federation.model.status import Condition, ConditionType, Truth
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_place import begin, operation_id, place, served, until
from tests.simulation.test_takeover import armed, owner, protected, serves
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

EVERY = {"type": "dynamic", "protect": {"every": "1m"}}
SELDOM = {"type": "dynamic", "protect": {"every": "15m"}}


def index(replica: Replica, hub: str) -> HomeIndex | None:
    stored = replica.snapshot.home(hub)
    return stored.document if stored else None


def fresh(replica: Replica, hub: str) -> Condition:
    stored = replica.snapshot.observation(hub)
    assert stored is not None
    return next(c for c in stored.document.conditions if c.type is ConditionType.DATA_FRESH)


@asynccontextmanager
async def class_with_homes(failback_s: float | None = None) -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A class at iu whose student has saved a notebook that has been copied; armed, with tacc as its standby."""
    async with virtual_federation() as federation:
        federation.failback_s = failback_s
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(replica, storage=EVERY)).record.document.uid
        await served(replica, hub)
        await until(lambda: index(replica, hub) is not None)
        work(federation, hub, b"first")
        federation.sites["iu"].start_server(hub, "s01")
        before = index(replica, hub)
        await until(lambda: index(replica, hub) != before)
        await until(lambda: armed(replica, "iu", hub))
        yield federation, replica, hub


def work(federation: VirtualFederation, hub: str, text: bytes, site: str = "iu") -> None:
    federation.sites[site].files[hub]["s01/notes.ipynb"] = text


def notebook(federation: VirtualFederation, hub: str, site: str) -> bytes | None:
    return federation.sites[site].files.get(hub, {}).get("s01/notes.ipynb")


async def test_the_notebook_is_there_when_the_class_is_back_at_the_other_site() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        assert await serves(federation, "tacc", hub)
        assert notebook(federation, hub, "tacc") == b"first"


async def test_before_there_is_a_copy_a_class_with_homes_is_not_armed_and_says_so() -> None:
    async with virtual_federation() as federation:
        federation.copies.refusal = "the store does not answer"
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(replica, storage=EVERY)).record.document.uid
        await served(replica, hub)
        await asyncio.sleep(60)
        assert protected(replica, hub).status is Truth.FALSE
        assert "no copy of its students' homes is made yet" in protected(replica, hub).message
        assert fresh(replica, hub).status is Truth.FALSE
        federation.copies.refusal = ""
        await until(lambda: armed(replica, "iu", hub))
        assert fresh(replica, hub).status is Truth.TRUE


async def test_a_site_that_makes_no_copies_is_asked_ever_more_seldom_and_a_new_agent_of_it_at_once() -> None:
    async with virtual_federation() as federation:
        federation.copies.refusal = "this site has no store of copies"
        replica = await begin(federation)
        hub = (await place(replica, storage=SELDOM)).record.document.uid
        await served(replica, hub)
        with structlog.testing.capture_logs() as lines:
            await asyncio.sleep(600)
        asked = [line for line in lines if line["event"] == "loop.failed" and line["loop"] == "copies"]
        assert all("this site has no store of copies" in line["error"] for line in asked)
        assert 5 <= len(asked) <= 12
        federation.copies.refusal = ""
        await asyncio.sleep(30)
        assert index(replica, hub) is None, "its turn has not come"
        await federation.kill("agent-iu")
        federation.start_agent("iu")
        await until(lambda: index(replica, hub) is not None, 60)


async def test_a_class_is_copied_often_while_it_works_and_soon_after_its_last_server_stopped() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, b"second")
        before = index(replica, hub)
        assert before is not None
        federation.sites["iu"].stop_server(hub, "s01")
        began = federation.clock.mono()
        await until(lambda: index(replica, hub) != before)
        assert federation.clock.mono() - began < 30, "not only at the next minute"
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        assert notebook(federation, hub, "tacc") == b"second"


async def test_work_of_a_moment_that_no_look_ever_saw_is_copied_too() -> None:
    async with class_with_homes() as (federation, replica, hub):
        site = federation.sites["iu"]
        site.stop_server(hub, "s01")
        await asyncio.sleep(60)
        work(federation, hub, b"of a moment")
        site.start_server(hub, "s01")
        site.stop_server(hub, "s01")
        before, began = index(replica, hub), federation.clock.mono()
        await until(lambda: index(replica, hub) != before)
        assert federation.clock.mono() - began < 30
        assert federation.copies.of("iu", hub)[-1].files["s01/notes.ipynb"] == b"of a moment"


async def test_without_a_copy_that_can_be_opened_there_nothing_is_taken_over() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.refusal = "the store does not answer"
        await federation.kill_site("iu")
        await asyncio.sleep(90)
        assert owner(replica, hub) == "iu"
        operation = replica.snapshot.operation(hub)
        assert operation is not None
        assert "tacc: the store does not answer" in operation.document.waiting_for
        federation.copies.refusal = ""
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        assert notebook(federation, hub, "tacc") == b"first"


async def test_an_agent_that_restarts_in_the_middle_does_not_restore_over_new_work() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        work(federation, hub, b"after the move", "tacc")
        await federation.kill("agent-tacc")
        federation.sites["tacc"].hubs.clear()
        federation.start_agent("tacc")
        await until(lambda: hub in federation.sites["tacc"].hubs)
        assert notebook(federation, hub, "tacc") == b"after the move"


@pytest.mark.parametrize("began", [True, False])
async def test_a_class_retired_before_its_homes_were_back_has_them_when_it_is_restored(began: bool) -> None:
    """Whether the site had been told to restore or not: never an empty tree, never one of an earlier stay (I6)."""
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.restore_s = 1000.0
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        if began:
            await until(lambda: hub in federation.sites["tacc"].restoring)
        await federation.kill("agent-tacc")
        await retire(replica)
        await until(lambda: owner(replica, hub) is None)
        federation.copies.restore_s = 0.0
        federation.start_agent("tacc")
        await retired(replica, hub)
        assert notebook(federation, hub, "tacc") is None
        await replica.control_service.admission.restore("atm101", actor="user/ann")
        await until(lambda: not operation_id(replica, hub).startswith("retire"))
        await served(replica, hub)
        assert notebook(federation, hub, "tacc") == b"first"


async def retire_and_restore(replica: Replica, hub: str) -> None:
    """And it serves again."""
    await retire(replica)
    await retired(replica, hub)
    await replica.control_service.admission.restore("atm101", actor="user/ann")
    await until(lambda: not operation_id(replica, hub).startswith("retire"))
    await served(replica, hub)


async def test_a_class_that_worked_after_its_takeover_and_was_retired_comes_back_with_that_work() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        work(federation, hub, b"after the move", "tacc")
        await retire_and_restore(replica, hub)
        assert notebook(federation, hub, "tacc") == b"after the move"


async def test_work_done_before_the_start_was_on_record_is_not_replaced_when_the_class_is_restored() -> None:
    """It was taken over, students are in, and it is retired before the leader has written down that it started: its homes
    were restored then, and are newer than that copy ever since (I3)."""
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: hub in federation.sites["tacc"].hubs)
        work(federation, hub, b"after the move", "tacc")
        await retire_and_restore(replica, hub)
        assert notebook(federation, hub, "tacc") == b"after the move"


async def test_a_copy_that_ends_after_the_class_has_moved_is_never_the_one_that_counts() -> None:
    """An upload that hangs and ends late is in the old site's own path, and in nobody's index (PROTOCOL.md H7)."""
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.save_s = 200.0
        recorded = index(replica, hub)
        await asyncio.sleep(90)
        federation.transport.cut.add("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        federation.copies.save_s = 0.0
        await served(replica, hub)
        first = index(replica, hub)
        assert first is not None
        await asyncio.sleep(120)
        now = index(replica, hub)
        assert now is not None
        assert recorded is not None
        assert now.copy_.site == "tacc"
        assert now.epoch > recorded.epoch


async def test_a_quiet_class_is_taken_over_by_a_new_leader_although_its_copy_is_older_than_a_busy_class_may_have() -> (
    None
):
    """The new leader has never heard of it from its site; what the last one recorded counts."""
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        leader, other = federation.leader_and_other()
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(leader, storage=EVERY)).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        await asyncio.sleep(stale_after(60, used_since_copy=True) + 10 - 4 * 60 + 200)
        await federation.kill_site("iu")
        await federation.kill(leader.identity.id)
        await until(lambda: owner(other, hub) == "tacc")


async def test_classes_whose_copies_do_not_open_keep_no_other_class_waiting() -> None:
    """As many as may start at a time cannot go; the next one can."""
    async with virtual_federation() as federation:
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hubs = [(await place(replica, name, storage=EVERY)).record.document.uid for name in ("a1", "a2", "b3")]
        for hub in hubs:
            await served(replica, hub)
            await until(lambda hub=hub: armed(replica, "iu", hub))  # type: ignore[misc]
        federation.copies.damaged |= {("iu", hub) for hub in hubs[:2]}
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hubs[2]) == "tacc", 60)
        assert [owner(replica, hub) for hub in hubs[:2]] == ["iu", "iu"]
