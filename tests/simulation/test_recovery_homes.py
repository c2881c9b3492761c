"""The register is lost while homes are on their way, or is given to a site without them: nobody starts in an empty or an
older home, and what a recovery leaves can still be moved by a person (DESIGN.md 4.7, I1, I3, I6)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from federation.coordinator.move_orders import FailoverOrder
from federation.coordinator.replica import Replica
from federation.model.errors import Refused
from federation.model.operation import Step
from federation.store.interface import Entry
from tests.simulation.test_homes import class_with_homes, index, notebook, work
from tests.simulation.test_moves import WORK, move, moved, operation
from tests.simulation.test_place import served, until
from tests.simulation.test_takeover import armed, owner, protected_class, serves
from tests.support.lost_register import Onlooker, ask, backup, began_anew, put_in_place, recovered
from tests.support.virtual import VirtualFederation

pytestmark = pytest.mark.looptime


async def lose(federation: VirtualFederation, replica: Replica, entries: Sequence[Entry] | None = None) -> None:
    """The register is an older one from now on: of now, if no other is named; reports have come in when this returns."""
    await put_in_place(federation, tuple(entries) if entries is not None else await backup(federation))
    await until(lambda: bool(replica.ports.register.fault))
    await asyncio.sleep(20)


async def begin_anew(federation: VirtualFederation) -> Replica:
    replica = await began_anew(federation, "c1")
    await replica.mirror.synced()
    return replica


async def vouched(replica: Replica, hub: str) -> None:
    """A person says that iu has ended."""
    asked = FailoverOrder("user/ann", "iu burns", vouched_site="iu", accept_loss=True)
    await replica.orders.failover("atm101", asked)
    await until(lambda: owner(replica, hub) == "tacc")
    await served(replica, hub)


async def test_a_restore_of_which_the_new_owner_has_not_heard_stays_due() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, b"second")
        await move(replica)
        await moved(replica, hub)
        await asyncio.sleep(30)
        await move(replica, to="iu", now=True)
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        await asyncio.sleep(30)
        work(federation, hub, WORK)
        await move(replica, now=True)
        await until(lambda: operation(replica, hub).step is Step.RELEASED or owner(replica, hub) == "tacc")
        await federation.kill("agent-tacc")
        await until(lambda: owner(replica, hub) == "tacc")
        await lose(federation, replica)
        federation.start_agent("tacc")
        await asyncio.sleep(30)
        await recovered(replica)
        later = await begin_anew(federation)
        await asyncio.sleep(60)
        site = owner(later, hub) or ""
        assert await serves(federation, site, hub)
        assert notebook(federation, hub, site) == WORK


async def test_a_site_that_a_person_names_starts_from_the_copy_of_who_gave_the_class_up() -> None:
    async with class_with_homes() as (federation, replica, hub):
        work(federation, hub, WORK)
        federation.copies.save_s = 3
        await move(replica, now=True)
        await until(lambda: operation(replica, hub).step is Step.COPIED)
        for agent in ("agent-iu", "agent-tacc"):
            await federation.kill(agent)
        await asyncio.sleep(5)  # tacc is not heard any more, so nobody owns what iu gives up
        federation.start_agent("iu")
        await until(lambda: operation(replica, hub).step is Step.RELEASED)
        await federation.kill_site("iu")
        await lose(federation, replica)
        federation.start_agent("tacc")
        await recovered(replica, without=["iu"], owners={hub: "tacc"})
        await begin_anew(federation)
        await until(lambda: hub in federation.sites["tacc"].hubs)
        await asyncio.sleep(30)
        assert await serves(federation, "tacc", hub)
        assert notebook(federation, hub, "tacc") == WORK


async def test_a_site_that_a_person_names_and_that_never_had_the_class_starts_from_its_copy() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill_site("iu")
        await lose(federation, replica)
        await recovered(replica, without=["iu"], owners={hub: "tacc"})
        later = await begin_anew(federation)
        assert index(later, hub) is not None
        await until(lambda: hub in federation.sites["tacc"].hubs)
        await asyncio.sleep(30)
        assert await serves(federation, "tacc", hub)
        assert notebook(federation, hub, "tacc") == b"first"


async def test_a_restore_is_not_made_again_over_work_that_is_newer() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.restore_s = 10
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await asyncio.sleep(1)
        await lose(federation, replica)
        await until(lambda: hub in federation.sites["tacc"].hubs)
        await asyncio.sleep(60)
        assert await serves(federation, "tacc", hub)
        work(federation, hub, WORK, "tacc")
        await asyncio.sleep(600)
        await federation.kill_site("tacc")
        federation.start_agent("tacc")
        federation.start_fencer("tacc")
        await asyncio.sleep(30)
        await recovered(replica, without=["iu"])
        await begin_anew(federation)
        await until(lambda: hub in federation.sites["tacc"].hubs)
        await asyncio.sleep(60)
        assert notebook(federation, hub, "tacc") == WORK


@pytest.mark.parametrize("told", ["before the reports", "after them"])
async def test_no_word_of_a_person_takes_a_class_from_the_site_that_serves_it(told: str) -> None:
    async with class_with_homes() as (federation, replica, hub):
        await federation.kill("fencer-iu")
        await until(lambda: not armed(replica, "iu", hub))
        await asyncio.sleep(20)
        looker = Onlooker(federation, hub)
        looking = asyncio.get_running_loop().create_task(looker.run())
        await lose(federation, replica)
        if told == "after them":
            federation.transport.cut.add("tacc")  # keeps the recovery open
            await ask(replica)
            await asyncio.sleep(5)
            with pytest.raises(Refused, match="iu serves it"):
                await ask(replica, owners={hub: "tacc"})
            federation.transport.cut.clear()
        else:
            await ask(replica, owners={hub: "tacc"})
        await recovered(replica)
        federation.transport.cut.add("iu")
        later = await begin_anew(federation)
        await asyncio.sleep(60)
        looking.cancel()
        assert owner(later, hub) == "iu"
        assert looker.twice == []


async def test_a_site_that_dies_after_its_report_is_left_with_its_homes_by_a_persons_word() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await lose(federation, replica)
        await recovered(replica)
        await federation.kill_site("iu")
        later = await begin_anew(federation)
        await asyncio.sleep(60)
        assert owner(later, hub) == "iu", "it is standing: nothing moves it by itself"
        await vouched(later, hub)
        assert notebook(federation, hub, "tacc") == b"first"


async def test_of_an_empty_register_a_persons_word_moves_what_has_no_homes_and_nothing_else() -> None:
    async with protected_class() as (federation, replica, hub):
        await lose(federation, replica, ())
        await recovered(replica)
        await federation.kill_site("iu")
        later = await begin_anew(federation)
        await asyncio.sleep(60)
        await vouched(later, hub)
    async with class_with_homes() as (federation, replica, hub):
        await lose(federation, replica, ())
        await recovered(replica)
        await federation.kill_site("iu")
        later = await begin_anew(federation)
        await asyncio.sleep(60)
        with pytest.raises(Refused, match="no copy of its homes is on record"):
            await vouched(later, hub)


async def test_a_site_that_dies_before_its_first_copy_of_the_new_era_leaves_the_last_one_of_the_old() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.save_s = 20
        await lose(federation, replica)
        await recovered(replica)
        later = await begin_anew(federation)
        await asyncio.sleep(10)
        assert not armed(later, "iu", hub), "a backup may name an older copy than the newest"
        await federation.kill_site("iu")
        await asyncio.sleep(120)
        await vouched(later, hub)
        assert notebook(federation, hub, "tacc") == b"first"


async def test_a_class_is_said_to_be_assigned_to_the_site_where_it_was_found() -> None:
    async with class_with_homes() as (federation, replica, hub):
        old = await backup(federation)
        await move(replica, now=True)
        await moved(replica, hub)
        await asyncio.sleep(30)
        await lose(federation, replica, old)
        await recovered(replica)
        later = await begin_anew(federation)
        assigned = later.snapshot.assignment(hub)
        assert assigned is not None
        assert (owner(later, hub), assigned.document.site, assigned.document.standby) == ("tacc", "tacc", "iu")
