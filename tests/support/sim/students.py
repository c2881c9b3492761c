"""Students of simulated classes that have homes: they sign in, save work, and leave, wherever they are let in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from agents.drivers.memory import MemoryHub
from federation.model.homes import Unsent
from federation.store import keys
from tests.support.sim.history_homes import NotBack, Worked, works_in
from tests.support.sim.machine import Machine
from tests.support.sim.world import World

LOOK_S = 4.0
SIGNS_IN, LEAVES = 0.5, 0.2  # chances at each look
STUDENT = "s01"


@dataclass(slots=True)
class Students:
    """`begin` once; they go on to the end of the run."""

    world: World
    random: Random
    works: int = 0

    def begin(self) -> None:
        self.world.loop.after(LOOK_S * self.random.random(), self._look)

    def _look(self) -> None:
        for _name, machine in sorted(self.world.machines.items()):
            for hub in sorted(machine.serving()):
                if machine.is_lasting(hub):
                    self._use(machine, hub, machine.site.hubs[hub])
        self.world.loop.after(LOOK_S * (0.5 + self.random.random()), self._look)

    def _use(self, machine: Machine, hub: str, here: MemoryHub) -> None:
        draw = self.random.random()
        if STUDENT not in here.servers:
            if draw < SIGNS_IN and not here.order.notice:
                machine.site.start_server(hub, STUDENT)
            return
        self.works += 1
        machine.work(hub, self.works)
        if draw < LEAVES:
            machine.site.stop_server(hub, STUDENT)


def note_what_is_not_back(world: World) -> None:
    """At the end: work of classes that are served which is in no home there, and what the register says of it."""
    leader, saved = world.leader(), [event for event in world.history.events if isinstance(event, Worked)]
    for hub in sorted({event.hub for event in saved}):
        where = next((machine for _, machine in sorted(world.machines.items()) if hub in machine.serving()), None)
        if where is None or leader is None:
            continue  # why it is not served is (8)'s business
        missing = {e.work for e in saved if e.hub == hub} - works_in(where.site.files.get(hub, {}))
        if missing:
            works = (stored.document for stored in leader.snapshot.under(keys.unsent_of(hub), Unsent))
            owed = [f"{work.site} {work.epoch} is {work.step.value}: {work.message}" for work in works]
            record = "; ".join(owed) or "nothing is on record"
            world.history.add(NotBack(world.loop.true_s, hub, frozenset(missing), record))
