"""Streams of a coordinator that loses the register: they end, so that whoever follows asks one that has it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import STALE_S
from federation.coordinator.watching import LOOK_S, LOST_S, Watching
from federation.model.errors import Unavailable

pytestmark = pytest.mark.looptime

FRESH, STALE, LOST = 0.1, STALE_S + 1, LOST_S + 1


class Heard:
    """A snapshot without classes; the register was heard `age_s` ago."""

    def __init__(self, age_s: float) -> None:
        self.age_s = age_s
        self.mirror = SimpleNamespace(revision=1, age_s=lambda: self.age_s)

    def under(self, _prefix: str, _kind: type) -> tuple[()]:
        return ()


def follow(heard: Heard) -> asyncio.Task[Any]:
    """Waits for the first news, which never come."""
    stream = Watching(cast(Snapshot, heard)).hubs("")
    return asyncio.ensure_future(anext(stream))


async def test_a_stream_ends_when_the_register_is_lost() -> None:
    heard = Heard(FRESH)
    following = follow(heard)
    await asyncio.sleep(60)
    assert not following.done(), "nothing changes, and that is known"
    heard.age_s = STALE
    await asyncio.sleep(2 * LOOK_S)
    assert not following.done(), "the member of the register that was asked is silent; another one may answer"
    heard.age_s = LOST
    with pytest.raises(Unavailable, match="has not heard from the register for 16 s"):
        await asyncio.wait_for(following, 2 * LOOK_S)


async def test_where_the_register_was_lost_before_a_stream_waits_until_it_is_back() -> None:
    heard = Heard(LOST)
    following = follow(heard)
    await asyncio.sleep(60)
    assert not following.done(), "perhaps nobody has it"
    heard.age_s = FRESH
    await asyncio.sleep(2 * LOOK_S)
    heard.age_s = LOST
    with pytest.raises(Unavailable):
        await asyncio.wait_for(following, 2 * LOOK_S)
