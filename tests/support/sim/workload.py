"""What users do in a run: they place, change, retire and restore classes, through whichever coordinator answers."""

from __future__ import annotations

import asyncio
from typing import Any

from federation.api.v1 import control_pb2, types_pb2
from federation.coordinator.admission import PlaceOrder
from federation.coordinator.move_orders import MoveOrder
from federation.coordinator.wanted import auth_secret
from federation.model.errors import Conflict, FederationError, NotFound, Refused
from tests.support.classrooms import classroom
from tests.support.sim.loop import Process
from tests.support.sim.schedule import Change
from tests.support.sim.world import GIB, World

PATIENCE_S = 60.0
WORKSHOP: dict[str, Any] = {"storage": {"type": "none"}}
LASTING: dict[str, Any] = {"storage": {"type": "dynamic", "protect": {"every": "1m"}}}


class Users:
    """Retry until it is done, as `fedctl` does with its request ids."""

    def __init__(self, world: World, sites: tuple[str, ...], homes: tuple[str, ...] = ()) -> None:
        self._world = world
        self._homes = homes
        self._sites = sites
        self._process = Process("user", world.hosts["user"])
        self._generation: dict[str, int] = {}

    def begin(self, change: Change) -> None:
        """Do it in the background."""
        self._world.loop.spawn(self._process, self.do(change))

    async def join(self, site: str) -> None:
        request = control_pb2.JoinSiteRequest(
            name=site,
            kind="local",
            uid=f"uid-{site}",
            capacity=types_pb2.Capacity(cpu_millis=60_000, memory_bytes=120 * GIB),
        )
        await self._call(lambda replica: replica.control_service.secrets_and_sites.join(request, "user/ann"))

    async def do(self, change: Change) -> None:
        name, actor = change.name, "user/ann"
        if change.what == "join":
            await self.join(name)
            self._world.start(f"fencer-{name}")
            self._world.start(f"agent-{name}")
        elif change.what == "seal":
            await self._call(lambda replica: _seal_to_all(replica, name, actor))
        elif change.what in ("place", "change"):
            number = self._generation[name] = self._generation.get(name, 0) + 1
            placement = {"allow": list(change.allow or self._sites), "prefer": change.prefer}
            storage = LASTING if name in self._homes else WORKSHOP
            wanted = classroom(name, **storage, placement=placement, limits={"start_timeout": 60 + number})
            order = PlaceOrder(actor=actor, request_id=f"{name}-{number}", overwrite=True)
            await self._call(lambda replica: replica.control_service.admission.place(wanted, order))
        elif change.what == "move":
            order_ = MoveOrder(actor, to=change.prefer, now=True)
            await self._call(lambda replica: replica.orders.move(name, order_))
        elif change.what == "cancel":
            await self._call(lambda replica: replica.orders.cancel(name, actor))
        elif change.what == "retire":
            await self._call(
                lambda replica: replica.control_service.admission.retire(name, delete_homes=False, actor=actor)
            )
        else:
            await self._call(lambda replica: replica.control_service.admission.restore(name, actor=actor))

    async def _call(self, work: Any) -> None:
        """Ask one coordinator after the other."""
        world = self._world
        until_s = world.loop.true_s + PATIENCE_S
        while world.loop.true_s < until_s:
            for name in world.random.sample(world.coordinators, len(world.coordinators)):
                try:
                    await world.network.call("user", name, work, 5.0)
                except (Refused, Conflict, NotFound):
                    await asyncio.sleep(1.0)
                except FederationError:
                    continue
                else:
                    return
            await asyncio.sleep(0.5)


async def _seal_to_all(replica: Any, name: str, actor: str) -> None:
    """A site that joined after the class was placed is given its secret too."""
    record = replica.snapshot.classroom(name)
    if record is None:
        raise NotFound(name)
    await replica.control_service.secrets_and_sites.set_secret(auth_secret(record.document), b"legible22", (), actor)
