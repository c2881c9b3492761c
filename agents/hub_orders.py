"""Directives in the drivers' words. Secrets are opened here, and stay in memory."""

from __future__ import annotations

from agents.draining import Drains
from agents.drivers.base import HubOrder
from agents.link import read_epoch
from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2
from federation.model.classroom import Classroom, ClassroomSpec
from federation.model.errors import DriverError
from federation.runtime.bridge import from_message
from federation.runtime.clock import Clock
from federation.runtime.sealing import SealingKey


class HubOrders:
    """One order per directive: the same directive again is the same order."""

    def __init__(self, wanted: WantedHubs, sealing: SealingKey, clock: Clock) -> None:
        self._wanted = wanted
        self._sealing = sealing
        self._drains = Drains(clock)
        self._made: dict[str, tuple[bytes, HubOrder]] = {}

    def notice(self, hub: str) -> str:
        """What students of the hub are told while it lets nobody new in; empty: it lets them in."""
        return self._drains.notice(self._wanted.hubs[hub])

    def of(self, hub: str) -> HubOrder:
        """The order of the newest directive about `hub`. DriverError if a secret was not sealed to this site."""
        directive = self._wanted.hubs[hub]
        encoded = directive.SerializeToString(deterministic=True)
        known, notice = self._made.get(hub), self.notice(hub)
        if known is not None and known[0] == encoded and known[1].notice == notice:
            return known[1]
        spec = from_message(directive.spec, ClassroomSpec)
        order = HubOrder(
            hub=hub,
            name=directive.name,
            epoch=read_epoch(directive.epoch),
            generation=directive.generation,
            classroom=Classroom(name=directive.name, spec=spec),
            public_url=directive.url,
            secrets=self._secrets(directive),
            notice=notice,
        )
        self._made[hub] = (encoded, order)
        return order

    def _secrets(self, directive: agent_pb2.WantedHub) -> dict[str, str]:
        opened = {name: self._sealing.open(box).decode() for name, box in directive.sealed.items()}
        if "auth" not in opened:
            raise DriverError(
                f"{directive.hub}: no secret for sign-in was sealed to this site",
                help="Set the secret again, so that it is sealed to this site's agent too.",
            )
        return opened
