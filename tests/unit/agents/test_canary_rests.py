"""How often gate and fencer are proven: on virtual time. What a proof is, is in the contract suite of canaries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from agents.canary import Canary
from agents.drivers.base import Passage
from agents.drivers.kubernetes.not_there import FENCER
from federation.model.errors import DriverError
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime
HOUR_S = 3600.0


@dataclass
class Counted:
    """A CanaryDriver whose every proof fails: for good, or for now."""

    delay_s: float | None
    begun: int = 0

    async def start(self, hub: str) -> str:
        self.begun += 1
        raise DriverError(FENCER, delay_s=self.delay_s)

    async def ask(self, host: str) -> Passage:
        return Passage.SILENT

    async def alive(self, hub: str) -> bool:
        return False

    async def stop(self, hub: str) -> None:
        pass


async def proofs_in(seconds: float, driver: Counted) -> tuple[int, Canary]:
    def nothing(_entry: object) -> None:
        pass

    async def no_route(_route: object) -> None:
        pass

    set_entry: Callable[..., None] = nothing
    canary = Canary("iu", driver, set_entry, no_route, VirtualClock(), fencer_s=3.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await canary.run()
    return driver.begun, canary


async def test_where_there_is_nothing_to_prove_an_hour_is_soon_enough() -> None:
    begun, canary = await proofs_in(2.5 * HOUR_S, Counted(delay_s=None))
    assert begun == 3
    assert FENCER in canary.unproven(), "and nothing is armed meanwhile"


async def test_what_failed_for_now_is_tried_again_soon() -> None:
    begun, _canary = await proofs_in(60.0, Counted(delay_s=1.0))
    assert begun > 5
