"""What every HomesDriver promises, on the in-memory twin and on directories."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.drivers.base import Capacity, HomesDriver, HomesMark
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.settings import LocalSettings
from agents.drivers.memory import MemorySite
from federation.model.errors import StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from tests.support.local_site import E1, E2

HUB = "atm101-abc123"


@pytest.fixture(params=["memory", "local"])
def homes(request: pytest.FixtureRequest) -> Iterator[HomesDriver]:
    if request.param == "memory":
        yield MemorySite("iu", SystemClock(), Capacity(1000, 1)).drivers().homes
        return
    with tempfile.TemporaryDirectory(prefix="hubfed-test-") as folder:
        root = Path(folder)
        settings = LocalSettings("iu", "test", root / "state", root / "run", root / "homes", Capacity(1000, 1))
        yield LocalHomes(settings, LocalDisk())


async def test_homes_that_were_never_made_are_nowhere(homes: HomesDriver) -> None:
    assert await homes.where(HUB) is None


async def test_made_homes_are_where_ensure_said(homes: HomesDriver) -> None:
    assert await homes.ensure(HUB, E1) == await homes.where(HUB)


async def test_ensure_again_and_at_a_newer_epoch_keeps_the_place(homes: HomesDriver) -> None:
    first = await homes.ensure(HUB, E1)
    assert await homes.ensure(HUB, E1) == first
    assert await homes.ensure(HUB, E2) == first


async def test_homes_tell_the_epoch_that_owns_them_and_that_no_copy_was_restored(homes: HomesDriver) -> None:
    assert await homes.mark(HUB) is None
    await homes.ensure(HUB, E1)
    assert await homes.mark(HUB) == HomesMark(E1)
    await homes.ensure(HUB, E2)
    assert await homes.mark(HUB) == HomesMark(E2)


async def test_homes_of_a_newer_epoch_refuse_an_older_one(homes: HomesDriver) -> None:
    await homes.ensure(HUB, E2)
    with pytest.raises(StaleEpoch):
        await homes.ensure(HUB, E1)


async def test_a_later_era_beats_every_epoch_of_an_earlier_one(homes: HomesDriver) -> None:
    await homes.ensure(HUB, Epoch(era=1, n=99))
    await homes.ensure(HUB, Epoch(era=2, n=1))
    with pytest.raises(StaleEpoch):
        await homes.ensure(HUB, Epoch(era=1, n=100))


async def test_two_hubs_of_one_name_have_different_homes(homes: HomesDriver) -> None:
    assert await homes.ensure("atm101-abc123", E1) != await homes.ensure("atm101-def456", E1)


async def test_deleted_homes_are_gone_and_deleting_again_is_fine(homes: HomesDriver) -> None:
    await homes.ensure(HUB, E1)
    await homes.ensure("other-abc123", E1)
    await homes.delete(HUB)
    await homes.delete(HUB)
    assert await homes.where(HUB) is None
    assert await homes.where("other-abc123") is not None
