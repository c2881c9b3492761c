"""A site's lines are really cut, in both directions or in one: it closes by itself, and only then the other one opens."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.federation import FEDCTL, until
from tests.support.onlooker import Onlooker
from tests.support.slow_line import slow
from tests.support.takeover import site_of, wait_until_armed, wait_until_served_at
from tests.support.three_hosts import NAMES, OFFICE, ThreeHosts

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(300)]


@contextmanager
def followed(here: ThreeHosts, name: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """By a `fedctl watch` that was there before; what it said last."""
    said = here.folder / f"watch-{name}"
    with here.net.inside(OFFICE), said.open("w") as out:
        words = [str(FEDCTL), "watch", name, "-o", "json"]
        watching = subprocess.Popen(words, env=here.env, cwd=here.folder, stdout=out)
    try:
        until(lambda: "\n" in said.read_text(), "it shows the class")
        yield lambda: json.loads(said.read_text().rpartition("\n")[0].splitlines()[-1])
    finally:
        watching.kill()
        watching.wait()


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
        with here.watched(OFFICE, name, "iu", "tacc") as onlooker, followed(here, name) as news:
            with here.net.cut(*here.net.both_ways("iu", "tacc", "witness", NAMES)):
                wait_until_served_at(here, name, "tacc")
                assert "STALE" not in here.fedctl("get").err, (
                    "the first coordinator is reached, and has lost the register"
                )
                until(lambda: news()["status"]["site"] == "tacc", "who watches it is told", 30, here.logs)
                assert here.leads_to(name) == [here.net.address("tacc")]
                assert here.in_the_office(read) == "measured = 42"
            until(lambda: here.condition(name, "PeerClean") == "True", "iu confirms that it closed", 60, here.logs)
        was_closed_before_it_opened(onlooker, onlooker)
        was_stopped_before_it_started(here, name)
        assert "runs at another site now" in here.in_the_office(lambda: what_a_student_sees_at_iu(here, name))


def test_a_site_that_hears_and_is_not_heard_is_taken_over(here: ThreeHosts) -> None:
    name = "mute"
    with here.placed(name, storage={"type": "none"}):
        wait_until_armed(here, name, "iu")
        # students in the network that nobody hears, and all others
        with here.watched("iu", name, "iu") as at_iu, here.watched(OFFICE, name, "tacc") as elsewhere:
            with here.net.cut(*(("iu", other) for other in ("tacc", "witness", NAMES, OFFICE))):
                wait_until_served_at(here, name, "tacc")
            until(lambda: here.condition(name, "PeerClean") == "True", "iu confirms that it closed", 60, here.logs)
        was_closed_before_it_opened(at_iu, elsewhere)
        was_stopped_before_it_started(here, name)


@pytest.mark.thorough
def test_a_site_whose_line_is_so_slow_that_no_answer_comes_in_time_is_taken_over(here: ThreeHosts) -> None:
    """Everything arrives, and is too late to count: grants count from when they were asked for (DESIGN.md 4.2)."""
    name = "late"
    with here.placed(name, storage={"type": "none"}):
        wait_until_armed(here, name, "iu")
        with here.watched("iu", name, "iu") as at_iu, here.watched(OFFICE, name, "tacc") as elsewhere:
            with slow(here.net, "iu", 4.0, 1.0):
                wait_until_served_at(here, name, "tacc")
            until(lambda: here.condition(name, "PeerClean") == "True", "iu confirms that it closed", 60, here.logs)
        was_closed_before_it_opened(at_iu, elsewhere)
        was_stopped_before_it_started(here, name)


@pytest.mark.thorough
def test_a_takeover_while_the_name_server_is_cut_off_too_waits_for_it_with_its_name_alone(here: ThreeHosts) -> None:
    name = "nameless"
    with here.placed(name, storage={"type": "none"}):
        wait_until_armed(here, name, "iu")
        with here.net.cut(*here.net.both_ways("iu"), *here.net.both_ways(NAMES)):
            until(lambda: site_of(here, name) == "tacc" and here.serves(name), "tacc serves it", 90, here.logs)
            assert here.leads_to(name) == [here.net.address("iu")], "what the secondary was told last"
            assert here.condition(name, "NameConverged") != "True"
        until(lambda: here.leads_to(name) == [here.net.address("tacc")], "its name follows", 60, here.logs)
        wait_until_served_at(here, name, "tacc")
        was_stopped_before_it_started(here, name)


@pytest.mark.thorough
def test_a_site_whose_edge_alone_is_not_reached_hands_its_class_over(here: ThreeHosts) -> None:
    name = "unseen"
    with here.placed(name, storage={"type": "none"}):
        wait_until_armed(here, name, "iu")
        until(lambda: here.condition(name, "Reachable") == "True", "the other places see it", 60, here.logs)
        from_outside = [(other, "iu") for other in ("tacc", "witness", OFFICE)]
        with (
            here.watched("iu", name, "iu") as at_iu,
            here.watched(OFFICE, name, "tacc") as elsewhere,
            here.net.cut(*from_outside, port=80),
        ):
            wait_until_served_at(here, name, "tacc")
        was_closed_before_it_opened(at_iu, elsewhere)
        was_stopped_before_it_started(here, name)
