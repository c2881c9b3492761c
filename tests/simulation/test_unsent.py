"""Work that a lost site had not sent comes back to its students, on virtual time, whoever is killed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.api.v1 import control_pb2
from federation.coordinator import views
from federation.coordinator.replica import Replica
from federation.core import takeover
from federation.model.homes import HomeHistory, Unsent, UnsentStep
from federation.model.placing import Event
from federation.store import keys
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_homes import EVERY, class_with_homes, index, work
from tests.simulation.test_place import begin, operation_id, place, served, until
from tests.simulation.test_takeover import armed, owner
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime


def owed(replica: Replica, hub: str) -> list[Unsent]:
    return sorted(
        (stored.document for stored in replica.snapshot.under(keys.unsent_of(hub), Unsent)), key=lambda one: one.epoch
    )


def step(replica: Replica, hub: str) -> UnsentStep:
    return owed(replica, hub)[0].step


def events(replica: Replica, hub: str, kind: str) -> list[str]:
    found = (stored.document for stored in replica.snapshot.under(f"{keys.EVENTS}{hub}/", Event))
    return [event.message for event in found if event.type == kind]


def recovered(federation: VirtualFederation, hub: str, site: str) -> dict[str, bytes]:
    """What is in folders of recovered work."""
    files = federation.sites[site].files.get(hub, {})
    return {path: content for path, content in files.items() if "/recovered-" in path}


async def heal(federation: VirtualFederation, site: str) -> None:
    federation.start_fencer(site)
    federation.start_agent(site)


async def moved(federation: VirtualFederation, replica: Replica, hub: str, source: str, target: str) -> None:
    """The site dies and its class is served by the other one."""
    await until(lambda: armed(replica, source, hub))
    await federation.kill_site(source)
    await until(lambda: owner(replica, hub) == target)
    await served(replica, hub)


@asynccontextmanager
async def lost_work() -> AsyncIterator[tuple[VirtualFederation, Replica, str]]:
    """Served at tacc since iu died with work in it that no copy has; one more student worked at tacc meanwhile."""
    async with class_with_homes() as (federation, replica, hub):
        files = federation.sites["iu"].files[hub]
        files.update({"s01/notes.ipynb": b"second", "s02/plot.png": b"new", "s01/.cache/x": b"no work"})
        await moved(federation, replica, hub, "iu", "tacc")
        work(federation, hub, b"elsewhere", "tacc")
        yield federation, replica, hub


async def test_exactly_the_unsent_work_is_in_a_folder_beside_what_the_students_have_now() -> None:
    async with lost_work() as (federation, replica, hub):
        assert step(replica, hub) is UnsentStep.OWED
        before, known = dict(federation.sites["iu"].files[hub]), index(replica, hub)
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.PLACED)
        folder = owed(replica, hub)[0].folder
        assert recovered(federation, hub, "tacc") == {
            f"s01/{folder}/notes.ipynb": b"second",
            f"s02/{folder}/plot.png": b"new",
        }
        assert federation.sites["tacc"].files[hub]["s01/notes.ipynb"] == b"elsewhere"
        assert federation.sites["iu"].files[hub] == before, "the old tree is left as it was"
        now = index(replica, hub)
        assert now is not None
        assert now == known or now.copy_.site == "tacc", "no copy of the lost site is ever the one that counts (I3)"
        assert events(replica, hub, "homes.unsent") == [
            "iu had not sent 2 files of 2 students when it was taken over from"
        ]
        assert events(replica, hub, "homes.recovered") == [f"2 files of 2 students of iu in {folder} of their homes"]


async def test_it_is_done_when_a_copy_of_the_new_owner_has_it_and_describe_says_so() -> None:
    async with lost_work() as (federation, replica, hub):
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.DONE, 3600)
        assert any("/recovered-" in path for path in federation.copies.of("tacc", hub)[-1].files)
        (shown,) = views.unsent_views(replica.snapshot, hub)
        assert (shown.site, shown.step, shown.students, shown.files) == ("iu", "done", 2, 2)
        assert shown.folder in shown.message


async def test_nothing_unsent_is_said_and_nothing_is_written() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await moved(federation, replica, hub, "iu", "tacc")
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.DONE)
        assert recovered(federation, hub, "tacc") == {}
        assert events(replica, hub, "homes.nothing-unsent") == ["iu had nothing that is not in the copy of then"]


async def test_a_site_that_was_only_cut_off_hands_its_work_over_after_it_has_closed() -> None:
    async with class_with_homes() as (federation, replica, hub):
        await until(lambda: armed(replica, "iu", hub))
        federation.transport.cut.add("iu")
        work(federation, hub, b"while cut off")
        await until(lambda: owner(replica, hub) == "tacc")
        await served(replica, hub)
        federation.transport.cut.clear()
        await until(lambda: step(replica, hub) is UnsentStep.PLACED)
        assert list(recovered(federation, hub, "tacc").values()) == [b"while cut off"]
        closed = next(at for at, event, _ in reversed(federation.sites["iu"].events) if event in ("stop", "fenced"))
        saved = next(at for at, event, _ in federation.sites["iu"].events if event == "unsent.saved")
        assert closed < saved


@pytest.mark.parametrize("at", [UnsentStep.OWED, UnsentStep.SAVED, UnsentStep.PLACED])
@pytest.mark.parametrize("victim", ["leader", "agent-iu", "agent-tacc"])
async def test_whoever_is_killed_after_any_step_the_students_have_it_once(at: UnsentStep, victim: str) -> None:
    async with virtual_federation() as federation:
        await begin(federation, "c1", "c2")
        leader, other = federation.leader_and_other()
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(leader, storage=EVERY)).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        federation.sites["iu"].files[hub]["s01/notes.ipynb"] = b"unsent"
        await moved(federation, leader, hub, "iu", "tacc")
        federation.copies.save_s = 3.0
        await heal(federation, "iu")
        await until(lambda: step(leader, hub) is at)
        await asyncio.sleep(1.0)
        await federation.kill(leader.identity.id if victim == "leader" else victim)
        if victim != "leader":
            await asyncio.sleep(5)
            federation.start_agent(victim.removeprefix("agent-"))
        follower = other if victim == "leader" else leader
        await until(lambda: step(follower, hub) in (UnsentStep.PLACED, UnsentStep.DONE), 300)
        assert list(recovered(federation, hub, "tacc").values()) == [b"unsent"]


async def test_a_class_that_moves_on_before_a_copy_has_it_gets_it_where_it_is_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "AGAIN_S", 0.0)
    async with lost_work() as (federation, replica, hub):
        federation.copies.full.add("tacc")  # it waits there until the class may move again
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.SAVED)
        await until(lambda: armed(replica, "tacc", hub))
        federation.copies.full.clear()
        await until(lambda: step(replica, hub) is UnsentStep.PLACED)
        await moved(federation, replica, hub, "tacc", "iu")
        await until(lambda: owed(replica, hub)[0].placed_at == "iu")
        first = owed(replica, hub)[0].folder
        assert recovered(federation, hub, "iu")[f"s01/{first}/notes.ipynb"] == b"second"


async def test_two_earlier_owners_each_hand_their_own_work_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "AGAIN_S", 0.0)
    async with lost_work() as (federation, replica, hub):
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.DONE, 3600)
        await until(lambda: armed(replica, "tacc", hub))
        federation.copies.save_s = 10_000.0
        await asyncio.sleep(1)
        federation.sites["tacc"].files[hub]["s03/own"] = b"of tacc"
        await moved(federation, replica, hub, "tacc", "iu")
        federation.copies.save_s = 0.0
        await heal(federation, "tacc")
        await until(lambda: owed(replica, hub)[1].step is UnsentStep.PLACED, 300)
        second = owed(replica, hub)[1].folder
        assert recovered(federation, hub, "iu")[f"s03/{second}/own"] == b"of tacc"


async def test_a_site_without_room_says_so_and_gets_it_when_there_is_some() -> None:
    async with lost_work() as (federation, replica, hub):
        federation.copies.full.add("tacc")
        await heal(federation, "iu")
        await until(lambda: "needs more than is free" in owed(replica, hub)[0].message)
        assert step(replica, hub) is UnsentStep.SAVED
        assert recovered(federation, hub, "tacc") == {}
        federation.copies.full.clear()
        await until(lambda: step(replica, hub) is UnsentStep.PLACED)
        assert len(recovered(federation, hub, "tacc")) == 2


async def test_a_site_that_comes_back_with_empty_disks_has_nothing_to_hand_over_and_that_is_said() -> None:
    async with lost_work() as (federation, replica, hub):
        for known in (federation.sites["iu"].homes, federation.sites["iu"].files):
            known.pop(hub)
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.DONE)
        assert "iu has no tree" in owed(replica, hub)[0].message


async def test_a_retired_class_has_it_when_it_is_restored() -> None:
    async with lost_work() as (federation, replica, hub):
        await retire(replica)
        await until(lambda: owner(replica, hub) is None)
        await heal(federation, "iu")
        await retired(replica, hub)
        await until(lambda: step(replica, hub) is UnsentStep.SAVED)
        await until(lambda: owed(replica, hub)[0].message == "nobody owns the class")
        await replica.control_service.admission.restore("atm101", actor="user/ann")
        await until(lambda: not operation_id(replica, hub).startswith("retire"))
        await served(replica, hub)
        await until(lambda: step(replica, hub) is UnsentStep.PLACED)
        assert len(recovered(federation, hub, "tacc")) == 2


async def test_a_class_retired_with_its_homes_owes_nobody_anything() -> None:
    async with lost_work() as (federation, replica, hub):
        await replica.control_service.admission.retire("atm101", delete_homes=True, actor="user/ann")
        await until(lambda: owed(replica, hub) == [])
        assert recovered(federation, hub, "tacc") == {}


async def test_a_student_gets_back_what_they_lost_while_the_class_works() -> None:
    """The weekly case: deleted, copied over, and still in the copy before."""
    async with class_with_homes() as (federation, replica, hub):
        files, desk = federation.sites["iu"].files[hub], replica.control_service.homes
        stored = replica.snapshot.find("atm101")
        assert stored is not None
        listed = desk.list_copies(stored, "s01")
        assert [copy.site for copy in listed.items] == ["iu"]
        before = index(replica, hub)
        files["s01/notes.ipynb"] = b"spoilt"
        await until(lambda: index(replica, hub) != before)
        request = control_pb2.RestoreHomeRequest(name="atm101", user="s01", at=listed.items[0].taken)
        answer = await desk.restore(stored, request, "user/ann")
        assert not answer.there
        assert files[f"s01/{answer.folder}/notes.ipynb"] == b"first"
        assert files["s01/notes.ipynb"] == b"spoilt"
        assert (await desk.restore(stored, request, "user/ann")).there
        assert len(events(replica, hub, "home.restored")) == 1


async def test_copies_of_earlier_owners_stay_listed_and_uploads_that_nobody_recorded_never_are() -> None:
    async with lost_work() as (federation, replica, hub):
        await heal(federation, "iu")
        await until(lambda: step(replica, hub) is UnsentStep.PLACED)
        history = replica.snapshot.get(keys.home_history(hub), HomeHistory)
        assert history is not None
        assert {copy.copy_.site for copy in history.document.copies} == {"iu", "tacc"}
        late = {copy.ref.snapshot for copy in federation.copies.of("iu", hub) if copy.unsent}
        assert len(late) == 2
        assert late.isdisjoint(copy.copy_.snapshot for copy in history.document.copies)
