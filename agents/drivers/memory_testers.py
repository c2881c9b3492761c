"""The in-memory twin of test servers' reserved user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.model.errors import DriverError

if TYPE_CHECKING:
    from agents.drivers.memory import MemorySite


class MemoryTesters:
    """Remembers who was admitted where."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site

    async def admit(self, hub: str, valid_s: float) -> str:  # noqa: ARG002 - of the interface
        here = self._site.hubs.get(hub)
        if here is None or not here.hub_alive:
            raise DriverError(f"{hub}: the hub's API does not answer")
        self._site.admissions += 1
        token = self._site.testers[hub] = f"{hub}-{self._site.admissions}"
        return token

    async def dismiss(self, hub: str) -> None:
        self._site.testers.pop(hub, None)

    async def left(self) -> tuple[str, ...]:
        return tuple(sorted(self._site.testers))
