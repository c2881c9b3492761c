"""A site dies, or its agent hangs, for real: its class comes back at the other one, and is never served twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.federation import Federation, until
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges, wait_until_armed, wait_until_served_at

pytestmark = pytest.mark.timeout(500)


def copied_after(here: Federation, name: str, before: str) -> bool:
    conditions = here.hub(name)["status"]["conditions"]
    return next(str(c["message"]) for c in conditions if c["type"] == "DataFresh") not in ("", before)


def unsent(here: Federation, name: str) -> dict[str, Any]:
    (work,) = here.hub(name)["status"]["unsent"]
    assert isinstance(work, dict)
    return work


def test_a_students_file_is_at_the_other_site_after_the_outage(here: Federation) -> None:
    with here.placed("lab") as word:

        async def save() -> None:
            async with here.student("lab") as one:
                assert await one.sign_in(word) == 200
                await one.start_server()
                await one.save("notes.txt", "measured at noon")
                await one.stop_server()

        wait_until_armed(here, "lab", "iu")
        conditions = here.hub("lab")["status"]["conditions"]
        empty = next(str(c["message"]) for c in conditions if c["type"] == "DataFresh")
        asyncio.run(save())
        until(lambda: copied_after(here, "lab", empty), "what was saved is copied", 120, here.logs)
        wait_until_armed(here, "lab", "iu")
        (here.homes("lab") / "s01" / "late.txt").write_text("in no copy yet")
        with Onlooker(edges(here), "lab.localhost") as onlooker:
            here.lab("kill", "iu")
            wait_until_served_at(here, "lab", "tacc")
            here.lab("heal", "iu")
            until(lambda: here.condition("lab", "PeerClean") == "True", "iu confirms that it closed", 90, here.logs)
            until(lambda: unsent(here, "lab")["step"] == "placed", "what iu had not sent is at tacc", 90, here.logs)
            assert here.running(hub=here.hub("lab")["metadata"]["uid"], site="iu") == []
        assert onlooker.served("iu"), "it was seen before"
        assert onlooker.served("tacc"), "and after"
        assert onlooker.overlap("iu", "tacc") == []

        async def read() -> str:
            async with here.student("lab") as one:
                assert await one.sign_in(word) == 200, "with the same account"
                await one.start_server()
                assert await one.read(f"{unsent(here, 'lab')['folder']}/late.txt") == "in no copy yet"
                return await one.read("notes.txt")

        assert asyncio.run(read()) == "measured at noon"
        assert unsent(here, "lab")["files"] == 1


def test_the_class_of_an_agent_that_hangs_is_ended_by_the_fencer_and_taken_over(here: Federation) -> None:
    with here.placed("workshop", storage={"type": "none"}):
        wait_until_armed(here, "workshop", "iu")
        uid = here.hub("workshop")["metadata"]["uid"]
        with Onlooker(edges(here), "workshop.localhost") as onlooker:
            here.lab("freeze", "iu", "--only", "agent")
            until(lambda: here.running(hub=uid, site="iu") == [], "the fencer ends it", 30, here.logs)
            wait_until_served_at(here, "workshop", "tacc")
            here.lab("heal", "iu")
            until(lambda: here.condition("workshop", "PeerClean") == "True", "iu confirms it", 90, here.logs)
        assert onlooker.served("iu"), "it was seen before"
        assert onlooker.served("tacc"), "and after"
        assert onlooker.overlap("iu", "tacc") == []
        fenced = [entry for entry in here.history() if entry.event == "fenced" and entry.hub == uid]
        assert [entry.site for entry in fenced] == ["iu"]


@pytest.mark.thorough
def test_a_site_that_stands_still_and_goes_on_serves_nothing_that_was_taken_over(here: Federation) -> None:
    """Every process of it at once, and all of them go on in the same moment: nobody there had time to close or stop."""
    with here.placed("studio", storage={"type": "none"}):
        wait_until_armed(here, "studio", "iu")
        uid = here.hub("studio")["metadata"]["uid"]
        with Onlooker(edges(here), "studio.localhost") as onlooker:
            here.lab("freeze", "iu")
            wait_until_served_at(here, "studio", "tacc")
            here.lab("heal", "iu")
            until(lambda: here.running(hub=uid, site="iu") == [], "what still ran there is ended", 30, here.logs)
            until(lambda: here.condition("studio", "PeerClean") == "True", "iu confirms it", 90, here.logs)
        assert onlooker.served("iu"), "it was seen before"
        assert onlooker.served("tacc"), "and after"
        assert onlooker.overlap("iu", "tacc") == []
