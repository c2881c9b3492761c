"""`fedctl doctor CLASS`, on virtual time: each thing that stands against a failover is made so, and is red."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.api.v1 import control_pb2
from federation.coordinator.pausing import set_pause
from federation.coordinator.replica import Replica
from federation.model.errors import NotFound, Unavailable
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_homes import EVERY, class_with_homes
from tests.simulation.test_place import begin, join, place, served, until
from tests.simulation.test_takeover import armed, protected_class
from tests.support.virtual import virtual_federation

pytestmark = pytest.mark.looptime


class Answer:
    """What doctor would show."""

    def __init__(self, message: control_pb2.ReadinessResponse) -> None:
        self.message = message
        self.items = {item.what: item for item in message.items}

    @property
    def red(self) -> set[str]:
        return {what for what, item in self.items.items() if item.state == "red"}

    def why(self, what: str) -> str:
        return self.items[what].why


async def doctor(replica: Replica, name: str = "atm101") -> Answer:
    return Answer(await replica.readiness.answer(control_pb2.ReadinessRequest(name=name)))


async def until_red(replica: Replica, what: str, limit_s: float = 200.0) -> Answer:
    async with asyncio.timeout(limit_s):
        while what not in (answer := await doctor(replica)).red:
            await asyncio.sleep(0.5)
    return answer


async def test_a_class_that_would_be_taken_over_is_ready_and_every_item_says_why() -> None:
    async with class_with_homes() as (_federation, replica, _hub):
        answer = await doctor(replica)
        assert answer.red == set()
        assert answer.message.ready
        assert (answer.message.site, answer.message.standby) == ("iu", "tacc")
        assert all(item.why for item in answer.items.values())
        assert "of 30 cores" in answer.why("room at tacc")
        assert answer.why("room without iu") == "1 of 1 classes of iu find room together: atm101 to tacc"
        assert answer.why("software") == "JupyterHub 6.1.1 at iu, 6.1.1 at tacc"
        assert "opens" in answer.why("copies at tacc")
        assert answer.items["rehearsed"].state == "note"


async def test_without_a_witness() -> None:
    async with virtual_federation() as federation:
        federation.witness = False
        replica = await begin(federation)
        await served(replica, (await place(replica)).record.document.uid)
        answer = await until_red(replica, "armed")
        assert {"armed", "witness"} <= answer.red


async def test_a_pause() -> None:
    async with protected_class() as (_federation, replica, _hub):
        await set_pause(replica.control_service.admission, paused=True, reason="storage work", actor="user/ann")
        answer = await until_red(replica, "armed")
        assert {"armed", "automatic moves"} <= answer.red
        assert "storage work" in answer.why("automatic moves")


async def test_a_standby_that_is_silent() -> None:
    async with protected_class() as (federation, replica, _hub):
        await federation.kill_site("tacc")
        answer = await until_red(replica, "tacc lives")
        assert "silent" in answer.why("tacc lives")


async def test_a_class_whose_file_wants_no_standby() -> None:
    placement = {"allow": ["iu", "tacc"], "prefer": "iu", "standby": "none"}
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await served(replica, (await place(replica, placement=placement)).record.document.uid)
        answer = await until_red(replica, "armed")
        assert "standby" in answer.red
        assert answer.message.standby == ""


async def test_a_class_that_may_run_at_one_site_only() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        await served(replica, (await place(replica, placement={"allow": ["iu"]})).record.document.uid)
        answer = await until_red(replica, "standby")
        assert "placement.allow is iu" in answer.why("standby")


async def test_a_standby_without_room_for_it() -> None:
    """Seats are what a class is guaranteed: another one takes what tacc has."""
    async with protected_class() as (_federation, replica, _hub):
        rest = {"allow": ["tacc"], "prefer": "tacc"}
        big = await place(replica, "big", placement=rest, roster=roster(25), storage={"type": "none"})
        await served(replica, big.record.document.uid)
        answer = await until_red(replica, "room at tacc")
        assert {"room at tacc", "room without iu"} <= answer.red
        assert "cores for 10 seats" in answer.why("room at tacc")


async def test_each_class_has_room_at_the_standby_and_all_together_have_not() -> None:
    async with virtual_federation() as federation:
        replica = await begin(federation)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        for name, seats in (("c3", 10), ("a1", 14), ("b2", 14)):
            placement = {"allow": ["iu", "tacc"], "prefer": "tacc" if name == "c3" else "iu"}
            wishes = {"roster": roster(seats), "storage": {"type": "none"}, "placement": placement}
            hub = (await place(replica, name, **wishes)).record.document.uid
            await served(replica, hub)
            if name != "c3":
                await until(lambda hub=hub: armed(replica, "iu", hub))  # type: ignore[misc]
        first, second = await doctor(replica, "a1"), await doctor(replica, "b2")
        assert first.message.ready
        assert first.items["room without iu"].state == "note"
        assert second.red == {"room without iu"}
        assert "1 of 2 classes of iu find room together: a1 to tacc; without room: b2 (tacc: needs" in second.why(
            "room without iu"
        )
        whole = Answer(await replica.readiness.answer(control_pb2.ReadinessRequest()))
        assert whole.items["room without iu"].state == "note"
        assert set(whole.items) == {"room without iu", "room without tacc"}


async def test_copies_that_cannot_be_made_and_then_are_old() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.refusal = "the store is full"
        federation.sites["iu"].start_server(hub, "s01")
        answer = await until_red(replica, "copies", 1800)
        assert "copies at tacc" in answer.red
        assert "the store is full" in answer.why("copies at tacc")


async def test_a_copy_that_does_not_open_at_the_standby_although_it_is_fresh() -> None:
    async with class_with_homes() as (federation, replica, hub):
        federation.copies.damaged.add(("iu", hub))
        answer = await doctor(replica)
        assert answer.red == {"copies at tacc"}
        assert "damaged" in answer.why("copies at tacc")


async def test_a_standby_whose_disk_is_full() -> None:
    async with class_with_homes() as (federation, replica, _hub):
        federation.copies.full.add("tacc")
        answer = await doctor(replica)
        assert answer.red == {"copies at tacc"}
        assert "needs more than is free" in answer.why("copies at tacc")


async def test_a_site_that_joined_after_the_class_was_placed_cannot_open_its_secrets() -> None:
    async with virtual_federation() as federation:
        replica = await federation.start_replica("c1")
        for site in ("iu", "mars"):
            federation.add_site(site)
            if site == "mars":
                placement = {"allow": ["iu", "mars"], "prefer": "iu"}
                await served(replica, (await place(replica, storage=EVERY, placement=placement)).record.document.uid)
            await until(lambda: replica.mirror.get("reg/id") is not None)
            await join(replica, site)
            federation.start_agent(site)
            federation.start_fencer(site)
            await until(lambda site=site: replica.sightings.age_s(site) is not None)  # type: ignore[misc]
            await until(lambda: all(site.edge_address for site in replica.snapshot.sites()))
        answer = await until_red(replica, "secrets at mars")
        assert "the secret for sign-in and the copies of the homes" in answer.why("secrets at mars")


async def test_other_software_at_the_standby() -> None:
    async with protected_class() as (federation, replica, _hub):
        federation.sites["tacc"].hub_version = "6.2.0"
        await federation.kill("agent-tacc")
        federation.start_agent("tacc")
        answer = await until_red(replica, "software")
        assert "6.1.1 at iu, 6.2.0 at tacc" in answer.why("software")


async def test_a_name_that_nobody_can_see() -> None:
    async with protected_class() as (federation, replica, _hub):
        federation.names.down = True
        answer = await until_red(replica, "name")
        assert "the name service does not answer" in answer.why("name")
        assert "name service" in answer.red


async def test_a_dead_fencer() -> None:
    async with protected_class() as (federation, replica, _hub):
        await federation.kill("fencer-iu")
        answer = await until_red(replica, "fencer of iu")
        assert "armed" in (await until_red(replica, "armed")).red
        assert answer.items["fencer of iu"].todo


async def test_a_class_that_is_not_served_and_one_that_was_retired() -> None:
    async with protected_class() as (federation, replica, hub):
        await federation.kill("agent-iu")
        assert "serving" in (await until_red(replica, "serving", 30)).red
        federation.start_agent("iu")
        await until(lambda: armed(replica, "iu", hub))
        await retire(replica)
        await retired(replica, hub)
        answer = await until_red(replica, "serving", 30)
        assert answer.message.site == ""
        assert "no site runs the class" in answer.why("serving")


async def test_a_leader_that_was_just_elected_says_that_it_counts_anew() -> None:
    async with protected_class() as (_federation, replica, _hub):
        assert replica.readiness.term is not None
        replica.readiness.term.takeovers.world = None
        answer = await doctor(replica)
        assert "counts leases anew" in answer.why("tacc is known")


async def test_who_does_not_lead_asks_the_leader_and_knows_sites_itself() -> None:
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        leader, other = federation.leader_and_other()
        await served(leader, (await place(leader)).record.document.uid)
        with pytest.raises(Unavailable, match=f"{leader.identity.id}: "):
            await doctor(other)
        whole = await other.readiness.answer(control_pb2.ReadinessRequest())
        assert [item.what for item in whole.items] == ["room without iu", "room without tacc"]
        with pytest.raises(NotFound):
            await doctor(leader, "nobody")


def roster(expected: int) -> dict[str, Any]:
    return {"expected": expected, "admins": ["ann"], "users": ["s01"]}
