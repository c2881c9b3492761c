"""A site's lines are really cut, in both directions or in one: it closes by itself, and only then the other one opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.federation import until
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges, wait_until_armed, wait_until_served_at
from tests.support.three_hosts import OFFICE, ThreeHosts

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(300)]


@contextmanager
def watched(here: ThreeHosts, name: str) -> Iterator[tuple[Onlooker, Onlooker]]:
    """By students in the cut-off network, at the edge of iu, and by all others, at that of tacc."""
    addresses = edges(here)
    with here.net.inside("iu"):
        at_iu = Onlooker({"iu": addresses["iu"]}, here.host(name))
        at_iu.__enter__()
    with here.net.inside(OFFICE):
        elsewhere = Onlooker({"tacc": addresses["tacc"]}, here.host(name))
        elsewhere.__enter__()
    try:
        yield at_iu, elsewhere
    finally:
        at_iu.__exit__(None, None, None)
        elsewhere.__exit__(None, None, None)


def was_closed_before_it_opened(at_iu: Onlooker, elsewhere: Onlooker) -> None:
    """As seen from both networks."""
    last, first = at_iu.served("iu")[-1], elsewhere.served("tacc")[0]
    print(f"open nowhere for {first.asked - last.answered:.1f} s")
    assert last.answered < first.asked


def was_stopped_before_it_started(here: ThreeHosts, name: str) -> None:
    """As recorded at both sites."""
    uid = here.hub(name)["metadata"]["uid"]
    events = [(entry.site, entry.event) for entry in here.history() if entry.hub == uid]
    ended = max(n for n, (site, event) in enumerate(events) if site == "iu" and event in ("stop", "fenced"))
    assert ended < events.index(("tacc", "start")), events


async def what_a_student_sees_at_iu(here: ThreeHosts, name: str) -> str:
    async with here.student_at("iu", name) as one, one.session.get(one.base / "hub/login") as page:
        return f"{page.status} {await page.text()}"


def test_a_site_that_is_cut_off_closes_and_stops_its_class_before_the_other_has_it_with_the_students_file(
    here: ThreeHosts,
) -> None:
    name = "lab"
    with here.placed(name) as word:

        async def save() -> None:
            async with here.student(name) as one:
                assert await one.sign_in(word) == 200
                await one.start_server()
                await one.save_notebook("notes.ipynb", "measured = 42")
                await one.stop_server()

        async def read() -> str:
            async with here.student(name) as one:
                assert await one.sign_in(word) == 200, "with the same account"
                await one.start_server()
                return await one.read("notes.ipynb")

        wait_until_armed(here, name, "iu")
        before = here.message(name, "DataFresh")
        here.in_the_office(save)
        until(lambda: here.message(name, "DataFresh") not in ("", before), "it is copied", 60, here.logs)
        wait_until_armed(here, name, "iu")
        assert here.leads_to(name) == [here.net.address("iu")]
        with watched(here, name) as looks:
            with here.net.cut(*here.net.both_ways("iu")):
                wait_until_served_at(here, name, "tacc")
                assert here.leads_to(name) == [here.net.address("tacc")]
                assert here.in_the_office(read) == "measured = 42"
            until(lambda: here.condition(name, "PeerClean") == "True", "iu confirms that it closed", 60, here.logs)
            until(lambda: "503" in here.in_the_office(lambda: what_a_student_sees_at_iu(here, name)), "it closes")
        was_closed_before_it_opened(*looks)
        was_stopped_before_it_started(here, name)
        assert "runs at another site now" in here.in_the_office(lambda: what_a_student_sees_at_iu(here, name))
