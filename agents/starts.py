"""Starts of hubs that can be given up: one may take minutes where a cluster is slow, and what fences waits for nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from agents.drivers.base import HubDriver, HubOrder
from federation.model.errors import DriverError


@dataclass(slots=True)
class Starts:
    """At most one per hub at a time, as the one loop of a hub makes them."""

    hubs: HubDriver
    _under_way: dict[str, asyncio.Timeout] = field(default_factory=dict)

    async def start(self, order: HubOrder) -> None:
        """`HubDriver.start`, until it ends or is given up; DriverError then."""
        try:
            async with asyncio.timeout(None) as limit:
                self._under_way[order.hub] = limit
                await self.hubs.start(order)
        except TimeoutError:
            if not limit.expired():
                raise
            raise DriverError(f"{order.hub}: its time was over while it was being started", delay_s=0.0) from None
        finally:
            del self._under_way[order.hub]

    def give_up(self, hub: str) -> None:
        """The hub's time is over, and it is to be stopped instead. Nothing happens if it is not being started."""
        limit = self._under_way.get(hub)
        if limit is not None and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())
