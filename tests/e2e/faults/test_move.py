"""A planned move for real: what was written last goes along, one copy at any time, and students are away for seconds."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.federation import Federation
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges, site_of, wait_until_armed

pytestmark = pytest.mark.timeout(400)


def test_a_class_moves_with_the_work_of_a_student_who_never_stopped_and_back_again(here: Federation) -> None:
    with here.placed("moving") as word:
        wait_until_armed(here, "moving", "iu")

        async def save(text: str) -> None:
            async with here.student("moving") as one:
                assert await one.sign_in(word) == 200
                await one.start_server()
                await one.save("notes.txt", text)

        async def read() -> str:
            async with here.student("moving") as one:
                assert await one.sign_in(word) == 200, "with the same account"
                await one.start_server()
                return await one.read("notes.txt")

        asyncio.run(save("measured at noon"))
        with Onlooker(edges(here), "moving.localhost") as onlooker:
            told = here.fedctl("move", "moving", "--drain", "2", "--reason", "a rehearsal")
        assert site_of(here, "moving") == "tacc", told
        assert "1 students still work after 2 s" in told.err
        assert onlooker.served("iu")
        assert onlooker.served("tacc")
        assert onlooker.overlap("iu", "tacc") == []
        away = onlooker.served("tacc")[0].asked - onlooker.served("iu")[-1].answered
        print(f"away for {away:.1f} s")
        assert here.running(hub=here.hub("moving")["metadata"]["uid"], site="iu") == []
        assert asyncio.run(read()) == "measured at noon"

        asyncio.run(save("measured at one"))
        here.fedctl("move", "moving", "--to", "iu", "--now")
        assert site_of(here, "moving") == "iu"
        assert asyncio.run(read()) == "measured at one"
