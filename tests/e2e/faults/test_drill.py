"""A drill for real: there and back with the work of a student, one copy at any time, and numbers that fit what was seen."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.federation import Federation
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges, site_of, wait_until_armed

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(400)]


def test_a_class_is_rehearsed_and_what_it_says_fits_what_was_seen(here: Federation) -> None:
    with here.placed("rehearsed") as word:
        wait_until_armed(here, "rehearsed", "iu")

        async def visit(text: str = "") -> str:
            async with here.student("rehearsed") as one:
                assert await one.sign_in(word) == 200
                await one.start_server()
                if text:
                    await one.save("notes.txt", text)
                return await one.read("notes.txt")

        asyncio.run(visit("measured at noon"))
        with Onlooker(edges(here), "rehearsed.localhost") as onlooker:
            told = here.fedctl("drill", "rehearsed", "--drain", "2", "-o", "json")
        (drill,) = json.loads(told.out)["items"]
        costs = drill["costs"]
        assert (drill["outcome"], drill["site"], drill["standby"]) == ("passed", "iu", "tacc")
        there, home = onlooker.served("tacc"), onlooker.served("iu")
        began, ended = there[0].asked, there[-1].answered
        assert [look for look in home if look.answered > began and look.asked < ended] == [], "one copy, both ways"
        assert site_of(here, "rehearsed") == "iu"
        assert asyncio.run(visit()) == "measured at noon"
        away = began - max(look.answered for look in home if look.answered <= began)
        print(f"away for {away:.1f} s; it says {costs}")
        assert away <= costs["away_s"] + 2, "from the beginning of the stop until it is named is no less"
        assert costs["rto_s"] == pytest.approx(costs["lease_s"] + costs["serve_s"])
        assert costs["rpo_s"] < 900, "copies are younger than a quarter of an hour"
