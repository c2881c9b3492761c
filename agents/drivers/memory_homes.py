"""The homes of an in-memory site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.drivers.base import HomesMark
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch

if TYPE_CHECKING:
    from agents.drivers.memory import MemorySite


class MemoryHomes:
    """Trees that outlive hubs."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site

    async def ensure(self, hub: str, epoch: Epoch, *, lasting: bool = True) -> str:
        known = self._site.homes.get(hub)
        if known is not None and epoch < known:
            raise StaleEpoch(f"homes of {hub} are of epoch {known}; the order is of {epoch}")
        if hub in self._site.restoring and known != epoch:
            raise DriverError(f"a restore of the homes of {hub} was ordered and has not ended")
        if known is not None and known < epoch and not lasting:
            self._site.files.pop(hub, None)
        if known != epoch:
            self._site.restored.pop(hub, None)
        self._site.homes[hub] = epoch
        self._site.files.setdefault(hub, {})
        return f"memory://{self._site.site}/{hub}"

    async def where(self, hub: str) -> str | None:
        return f"memory://{self._site.site}/{hub}" if hub in self._site.homes else None

    async def mark(self, hub: str) -> HomesMark | None:
        epoch = self._site.homes.get(hub)
        return HomesMark(epoch, self._site.restored.get(hub)) if epoch is not None else None

    async def delete(self, hub: str) -> None:
        for known in (self._site.homes, self._site.files, self._site.restored, self._site.kept):
            known.pop(hub, None)
        self._site.restoring.discard(hub)
