"""When gate and fencer are proven at all: on virtual time. What a proof is, is in the contract suite of canaries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from agents.canary import NO_FENCER, Canary
from agents.drivers.edges import Passage
from federation.model.errors import DriverError
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime


@dataclass
class Counted:
    """A CanaryDriver whose every proof fails."""

    begun: int = 0

    async def start(self, hub: str) -> str:
        self.begun += 1
        raise DriverError(f"{hub}: no room")

    async def ask(self, host: str) -> Passage:
        return Passage.SILENT

    async def alive(self, hub: str) -> bool:
        return False

    async def stop(self, hub: str) -> None:
        pass


async def proofs_in(seconds: float, driver: Counted, *, fencer: bool) -> Canary:
    def nothing(_entry: object) -> None:
        pass

    async def no_route(_route: object) -> None:
        pass

    set_entry: Callable[..., None] = nothing
    canary = Canary("iu", driver, set_entry, no_route, VirtualClock(), fencer_s=3.0, fencer_answers=lambda: fencer)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await canary.run()
    return canary


async def test_nothing_is_started_that_no_fencer_would_end() -> None:
    driver = Counted()
    canary = await proofs_in(3600.0, driver, fencer=False)
    assert driver.begun == 0
    assert NO_FENCER in canary.unproven(), "and nothing is armed meanwhile"


async def test_what_failed_is_tried_again_soon() -> None:
    driver = Counted()
    canary = await proofs_in(60.0, driver, fencer=True)
    assert driver.begun > 5
    assert "no room" in canary.unproven()
