"""What sites with a cluster cannot do yet, said as such: a class there stands; nothing is armed on a proof that is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from agents.drivers.base import Passage
from federation.model.errors import DriverError

FENCER = "no fencer ends pods yet, so nothing can be proven"
TESTERS = "test servers are not started in a cluster yet"


def _refuse(what: str) -> NoReturn:
    raise DriverError(what, delay_s=None)


@dataclass(frozen=True, slots=True)
class NoCanary:
    """A CanaryDriver whose every proof fails."""

    async def start(self, hub: str) -> str:
        _refuse(FENCER)

    async def ask(self, host: str) -> Passage:
        return Passage.SILENT

    async def alive(self, hub: str) -> bool:
        return False

    async def stop(self, hub: str) -> None:
        """There is nothing."""


@dataclass(frozen=True, slots=True)
class NoTesters:
    """A TesterDriver that admits nobody."""

    async def admit(self, hub: str, valid_s: float) -> str:
        _refuse(TESTERS)

    async def dismiss(self, hub: str) -> None:
        """Nobody was admitted."""

    async def left(self) -> tuple[str, ...]:
        return ()
