"""What sites with a cluster cannot do yet, said as such: a class there stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from agents.drivers.base import CopiesCapabilities, Copy, CopyRef, Placed, Restored, Saved, UnsentWork
from federation.model.errors import DriverError
from federation.model.identity import Epoch

COPIES = "homes in a cluster are not copied yet"


def _refuse(what: str) -> NoReturn:
    raise DriverError(what, delay_s=None)


@dataclass(frozen=True, slots=True)
class NoCopies:
    """A CopiesDriver that says so, and leaves homes alone."""

    async def capabilities(self) -> CopiesCapabilities:
        return CopiesCapabilities(restic="", store="", refusal=COPIES)

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 0) -> Saved:
        _refuse(COPIES)

    async def list(self, site: str, hub: str, password: str, *, limit_s: float = 0) -> tuple[Copy, ...]:
        _refuse(COPIES)

    async def look(self, copy: CopyRef, password: str, *, limit_s: float = 0) -> str:
        return COPIES

    async def restore(self, copy: CopyRef, epoch: Epoch, password: str, *, limit_s: float = 0) -> Restored:
        _refuse(COPIES)

    async def abandon(self, hub: str) -> None:
        """No restore ever began."""

    async def restore_aside(self, copy: CopyRef, user: str, folder: str, password: str, *, limit_s: float = 0) -> bool:
        _refuse(COPIES)

    async def save_unsent(
        self, hub: str, epoch: Epoch, base: CopyRef, password: str, *, run: str, limit_s: float = 0
    ) -> UnsentWork:
        _refuse(COPIES)

    async def recover(
        self, copy: CopyRef, folder: str, users: tuple[str, ...], password: str, *, limit_s: float = 0
    ) -> Placed:
        _refuse(COPIES)
