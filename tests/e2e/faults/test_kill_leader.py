"""Kill -9 of the leading coordinator at every step of a place, a retire, a restore: it finishes once, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.federation import Federation, password
from tests.support.leader import finishes_although_its_leader_is_killed_after, steps_of, times
from tests.support.thorough import cases

pytestmark = pytest.mark.timeout(240)
PLACE = ["admitted", "assigned", "started", "verified", "named"]  # a restore is a place of a class that has homes
RETIRE = ["admitted", "closed", "stopped", "unnamed"]


@dataclass(frozen=True)
class Kept:
    """A class with a student's file, which each case wants to be serving, or retired."""

    here: Federation
    name: str
    uid: str
    file: Path

    @property
    def hub(self) -> dict[str, Any]:
        return self.here.hub(self.name)

    @property
    def epoch(self) -> tuple[int, int]:
        era, _, n = self.hub["status"]["epoch"].partition(".")
        return int(era), int(n)

    def serving(self) -> None:
        self.here.fedctl("restore", self.name)  # says so and does nothing if it was not retired

    def retired(self) -> None:
        self.here.fedctl("retire", self.name)

    def check(self) -> None:
        assert self.hub["metadata"]["uid"] == self.uid, "the same class, not another one of its name"
        assert self.file.read_text() == "of s01", "the homes are still there"


@pytest.fixture(scope="module")
def kept(federation_here: Federation) -> Iterator[Kept]:
    here = federation_here
    word = password(here.fedctl("place", str(here.classroom("kept"))))

    async def save() -> None:
        async with here.student("kept") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("notes.txt", "of s01")

    asyncio.run(save())
    yield Kept(here, "kept", here.hub("kept")["metadata"]["uid"], here.homes("kept") / "s01/notes.txt")
    here.fedctl("retire", "kept")


@pytest.mark.parametrize("step", PLACE)
def test_a_place_survives_its_leader_killed_after(here: Federation, step: str) -> None:
    name = f"k-{step}"
    hub = finishes_although_its_leader_is_killed_after(here, step, "place", str(here.classroom(name)))
    assert steps_of(hub) == [*PLACE, "done"], "each step once, in order"
    assert hub["status"]["epoch"] == "1.1", "it was assigned once"
    assert times(here, "start", hub) == 1, "the hub was started once"
    assert len(here.pids("hub", hub=hub["metadata"]["uid"])) == 1
    here.fedctl("retire", name, "--no-wait")


@pytest.mark.parametrize("step", cases(RETIRE, usual=["closed"]))
def test_a_retire_survives_its_leader_killed_after(here: Federation, kept: Kept, step: str) -> None:
    kept.serving()
    (era, n), stops = kept.epoch, times(here, "stop", kept.hub)
    hub = finishes_although_its_leader_is_killed_after(here, step, "retire", kept.name)
    assert steps_of(hub) == [*RETIRE, "done"], "each step once, in order"
    assert hub["status"]["phase"] == "Retired"
    assert kept.epoch == (era, n + 1), "the ownership ended once"
    assert times(here, "stop", hub) == stops + 1, "the hub was stopped once"
    assert here.running(hub=kept.uid) == [], "nothing of it runs, at no site"
    assert here.status(kept.name) == 404, "its name is gone"
    kept.check()


@pytest.mark.parametrize("step", cases(PLACE, usual=["assigned"]))
def test_a_restore_survives_its_leader_killed_after(here: Federation, kept: Kept, step: str) -> None:
    kept.retired()
    (era, n), starts = kept.epoch, times(here, "start", kept.hub)
    hub = finishes_although_its_leader_is_killed_after(here, step, "restore", kept.name)
    assert steps_of(hub) == [*PLACE, "done"], "each step once, in order"
    assert hub["status"]["phase"] == "Serving"
    assert kept.epoch == (era, n + 1), "it was assigned once"
    assert times(here, "start", hub) == starts + 1, "the hub was started once"
    assert len(here.pids("hub", hub=kept.uid)) == 1
    assert here.login_page(kept.name)
    kept.check()
