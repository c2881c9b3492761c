"""A site owns a class, lives, and cannot start it, on virtual time: what a rule sent there comes back, with its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from federation.coordinator.replica import Replica
from federation.core import relocation
from federation.model.drill import Outcome
from federation.model.operation import OperationKind, Step
from tests.simulation.test_drills import kept, order, over
from tests.simulation.test_homes import class_with_homes, notebook, work
from tests.simulation.test_moves import WORK, cordon, move, operation
from tests.simulation.test_place import served, until
from tests.simulation.test_takeover import armed, owner, serves
from tests.support.lost_register import Onlooker
from tests.support.virtual import VirtualFederation

pytestmark = pytest.mark.looptime

LIMIT_S = 300.0  # what fails is tried for so long
Broken = Callable[[VirtualFederation, str], None]


@asynccontextmanager
async def idle_class(failback_s: float | None = None) -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """A class at iu in which nobody works, so that a rule may move it; watched, so that it never runs twice."""
    async with class_with_homes(failback_s) as (federation, replica, hub):
        federation.sites["iu"].stop_server(hub, "s01")
        work(federation, hub, WORK)
        await asyncio.sleep(30)
        looker = Onlooker(federation, hub, every_s=1.0)
        looks = asyncio.get_running_loop().create_task(looker.run())
        yield federation, replica, hub
        looks.cancel()
        assert looker.twice == []


def no_image(federation: VirtualFederation, hub: str) -> None:
    federation.sites["tacc"].refuse(hub, "no such image")


def damaged(federation: VirtualFederation, hub: str) -> None:
    """What the source saved; at tacc there is nothing that could be copied."""
    federation.copies.damaged.add(("iu", hub))


def no_store(federation: VirtualFederation, _hub: str) -> None:
    """For anybody, the site that it came from included."""
    federation.copies.refusal = "the store does not answer"


async def given_away(federation: VirtualFederation, replica: Replica, hub: str) -> None:
    """To a site that is about to restore."""
    federation.copies.restore_s = 5.0
    await until(lambda: owner(replica, hub) == "tacc")


@pytest.mark.parametrize(
    ("breaks", "said"),
    [(no_image, "no such image"), (damaged, "is damaged"), (no_store, "the store does not answer")],
)
async def test_a_drill_whose_standby_cannot_start_the_class_brings_it_back_and_has_failed(
    breaks: Broken, said: str
) -> None:
    async with idle_class() as (federation, replica, hub):
        await order(replica)
        await given_away(federation, replica, hub)
        breaks(federation, hub)
        began = federation.clock.mono()
        await until(lambda: owner(replica, hub) == "iu", 600)
        assert LIMIT_S < federation.clock.mono() - began < LIMIT_S + 120
        drill = await over(replica, hub)
        assert drill.outcome is Outcome.FAILED
        assert drill.reason.startswith("on the way there: tacc could not start it within 5 min: hub is failed: ")
        assert said in drill.reason
        assert drill.there[-1].step is Step.OWNED
        assert drill.back[-1].step is Step.DONE
        assert drill.costs is not None
        assert drill.costs.rto_s is None, "it has never served at the standby"
        assert await serves(federation, "iu", hub)
        assert notebook(federation, hub, "iu") == WORK
        assert hub not in federation.sites["tacc"].hubs
        federation.copies.refusal = ""
        await until(lambda: armed(replica, "iu", hub))


async def test_a_site_that_starts_it_late_keeps_it_and_the_drill_goes_on() -> None:
    async with idle_class() as (federation, replica, hub):
        federation.copies.restore_s = 1200.0
        await order(replica)
        drill = await over(replica, hub, 3600)
        assert (drill.outcome, drill.reason) == (Outcome.PASSED, "")
        assert drill.costs is not None
        assert drill.costs.serve_s is not None
        assert drill.costs.serve_s > 1200


async def test_on_the_way_back_of_a_drill_it_returns_to_the_standby_and_stays_there() -> None:
    async with idle_class() as (federation, replica, hub):
        federation.sites["iu"].refuse(hub, "no such image")
        await order(replica)
        drill = await over(replica, hub, 1200)
        assert drill.outcome is Outcome.FAILED
        assert drill.reason.startswith("on the way back: iu could not start it within 5 min: hub is failed: ")
        await served(replica, hub)
        assert owner(replica, hub) == "tacc"
        assert notebook(federation, hub, "tacc") == WORK
        await asyncio.sleep(900)
        assert owner(replica, hub) == "tacc"


async def test_a_drained_site_has_its_class_back_and_is_not_left_again_for_hours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relocation, "AFTER_BACK_S", 600.0)
    async with idle_class() as (federation, replica, hub):
        no_image(federation, hub)
        await cordon(replica, "iu", "new switches", drain=True)
        await until(lambda: owner(replica, hub) == "tacc")
        await until(lambda: owner(replica, hub) == "iu", 600)
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == WORK
        federation.sites["tacc"].refuse(hub, "")
        began = federation.clock.mono()
        await asyncio.sleep(relocation.AFTER_BACK_S - 60)
        stops = [at for at, what, which in federation.sites["iu"].events if (what, which) == ("stop", hub)]
        assert [at for at in stops if at >= began] == []
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)


async def test_a_class_whose_home_cannot_start_it_stays_where_it_was_taken_over_and_goes_home_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relocation, "AFTER_BACK_S", 600.0)
    async with class_with_homes(failback_s=300.0) as (federation, replica, hub):
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        work(federation, hub, WORK, "tacc")
        federation.sites["iu"].refuse(hub, "no such image")
        for start in (federation.start_fencer, federation.start_agent):
            start("iu")
        await until(lambda: owner(replica, hub) == "iu", 1000)
        await until(lambda: owner(replica, hub) == "tacc", 600)
        await served(replica, hub)
        assert notebook(federation, hub, "tacc") == WORK
        federation.sites["iu"].refuse(hub, "")
        await until(lambda: owner(replica, hub) == "iu", 1800)
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == WORK


async def test_what_a_person_moved_waits_for_a_person() -> None:
    async with idle_class() as (federation, replica, hub):
        no_image(federation, hub)
        await move(replica)
        await until(lambda: owner(replica, hub) == "tacc")
        await asyncio.sleep(1200)
        assert owner(replica, hub) == "tacc"
        await move(replica, to="iu", now=True)
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)


async def test_when_neither_site_can_start_it_there_is_one_way_back_and_then_it_is_said() -> None:
    async with idle_class() as (federation, replica, hub):
        no_image(federation, hub)
        await order(replica)
        await until(lambda: owner(replica, hub) == "tacc")
        federation.sites["iu"].refuse(hub, "nor here")
        await until(lambda: owner(replica, hub) == "iu", 600)
        await asyncio.sleep(900)
        assert owner(replica, hub) == "iu"
        assert "that was done once already; `fedctl move atm101 --to SITE --now`" in operation(replica, hub).waiting_for
        federation.sites["tacc"].refuse(hub, "")
        await move(replica, to="tacc", now=True)
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        assert notebook(federation, hub, "tacc") == WORK
        await until(lambda: kept(replica, hub).running is None)


async def test_it_is_not_taken_back_to_a_site_that_does_not_live() -> None:
    async with idle_class() as (federation, replica, hub):
        no_image(federation, hub)
        await order(replica)
        await until(lambda: owner(replica, hub) == "tacc")
        await federation.kill_site("iu")
        await asyncio.sleep(600)
        assert owner(replica, hub) == "tacc"
        assert "it is not taken back: iu: " in operation(replica, hub).waiting_for
        for start in (federation.start_fencer, federation.start_agent):
            start("iu")
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        assert notebook(federation, hub, "iu") == WORK


async def test_a_site_that_dies_before_it_could_start_it_is_an_outage() -> None:
    async with idle_class() as (federation, replica, hub):
        no_image(federation, hub)
        await order(replica)
        await until(lambda: owner(replica, hub) == "tacc")
        await asyncio.sleep(60)
        await federation.kill_site("tacc")
        await until(lambda: owner(replica, hub) == "iu")
        await served(replica, hub)
        assert operation(replica, hub).kind is OperationKind.FAILOVER
        assert notebook(federation, hub, "iu") == WORK


@pytest.mark.parametrize("step", [Step.ADMITTED, Step.CHECKED, Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED])
async def test_when_the_leader_dies_on_the_way_back_the_next_one_goes_on(step: Step) -> None:
    async with idle_class() as (federation, replica, hub):
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        await order(replica)
        await given_away(federation, replica, hub)
        damaged(federation, hub)
        await until(lambda: step in reached_back(replica, hub), 600)
        await federation.kill(replica.identity.id)
        drill = await over(other, hub, 900)
        assert drill.outcome is Outcome.FAILED
        assert owner(other, hub) == "iu"
        assert notebook(federation, hub, "iu") == WORK


def reached_back(replica: Replica, hub: str) -> list[Step]:
    newest = operation(replica, hub)
    return [record.step for record in newest.history] if newest.back else []


async def test_what_students_did_there_before_it_broke_comes_back_too() -> None:
    """No coordinator saw that it served, so nobody but the site knows that its homes are newer."""
    async with idle_class() as (federation, replica, hub):
        await order(replica)
        await until(lambda: hub in federation.sites["tacc"].hubs)
        await federation.kill(replica.identity.id)
        await asyncio.sleep(600)
        work(federation, hub, b"at the standby", "tacc")
        no_image(federation, hub)
        federation.sites["tacc"].hubs.pop(hub)
        await asyncio.sleep(60)
        other = await federation.start_replica("c2")
        await other.mirror.synced()
        await until(lambda: owner(other, hub) == "iu", 900)
        await served(other, hub)
        assert notebook(federation, hub, "iu") == b"at the standby"
