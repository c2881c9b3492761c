"""A class is retired: its homes stay, for a restore and for nobody else."""

from __future__ import annotations

import asyncio

import pytest

from federation.model.errors import Unavailable
from tests.support.federation import Federation, password

pytestmark = pytest.mark.timeout(240)


def test_retire_keeps_the_homes_and_restore_brings_the_same_class_back(here: Federation) -> None:
    word = password(here.fedctl("place", str(here.classroom("third"))))
    uid = here.hub("third")["metadata"]["uid"]

    async def save() -> None:
        async with here.student("third") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("notes.txt", "kept")

    asyncio.run(save())
    retired = here.fedctl("retire", "third")
    assert "homes are kept at least 90 days in " in retired.out
    assert here.pids("hub", hub=uid) == []
    assert here.pids("server", hub=uid) == [], "students' servers are stopped too"
    here.fedctl("restore", "third")

    async def read() -> None:
        async with here.student("third") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            assert await one.read("notes.txt") == "kept"

    asyncio.run(read())
    assert here.hub("third")["metadata"]["uid"] == uid
    assert here.hub("third")["status"]["epoch"] == "1.3", "one up at the end of ownership, one up at its return"
    here.fedctl("retire", "third", "--no-wait")


def test_a_class_placed_again_under_a_retired_name_starts_with_empty_homes(here: Federation) -> None:
    path = here.classroom("again")
    word, first = password(here.fedctl("place", str(path))), here.hub("again")["metadata"]["uid"]

    async def save() -> None:
        async with here.student("again") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("secret-of-last-year.txt", "kept")

    asyncio.run(save())
    here.fedctl("retire", "again")
    word = password(here.fedctl("place", str(path)))
    assert here.hub("again")["metadata"]["uid"] != first

    async def look() -> None:
        async with here.student("again") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            with pytest.raises(Unavailable, match="404"):
                await one.read("secret-of-last-year.txt")

    asyncio.run(look())
    here.fedctl("retire", "again", "--no-wait")
