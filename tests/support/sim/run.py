"""One seeded run: set up in fair weather, chaos, calm; what came of it is judged from its history alone."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from federation.model.operation import Step
from tests.support.sim import history as h
from tests.support.sim.faults import Faults
from tests.support.sim.loop import SimLoop
from tests.support.sim.network import Weather
from tests.support.sim.quiet import quiet
from tests.support.sim.register import Errors
from tests.support.sim.schedule import Schedule
from tests.support.sim.students import Students, note_what_is_not_back
from tests.support.sim.workload import Users
from tests.support.sim.world import World

SETTLE_S = 60.0
BACK_S = 30.0  # what a site had not sent is back in so long a calm


@dataclass(slots=True)
class Outcome:
    schedule: Schedule
    history: h.History
    counts: Counter[str]
    crashes: list[str]


def simulate(schedule: Schedule) -> Outcome:
    """The whole run. Deterministic in the schedule (and in PYTHONHASHSEED)."""
    gc_was_on = gc.isenabled()
    gc.disable()
    loop = SimLoop()
    later = tuple(change.name for change in schedule.changes if change.what == "join")
    world = World.make(loop, schedule.seed, (*schedule.sites, *later), schedule.coordinators)
    noticed: list[str] = []
    try:
        with quiet(noticed):
            loop.run_until_complete(_run(world, schedule))
    finally:
        errors = [str(context.get("exception") or context["message"]) for context in loop.errors]
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None  # what dies with its world has nothing to say
        with quiet([]):
            _bury(world)
        sys.unraisablehook = hook
        if gc_was_on:
            gc.enable()
    return Outcome(schedule, world.history, world.network.counts, [*world.crashes, *noticed, *errors])


async def _run(world: World, schedule: Schedule) -> None:  # noqa: C901 - the story of a run
    loop, users = world.loop, Users(world, schedule.sites, schedule.homes)
    world.failsafe = schedule.failsafe
    for name, rate in schedule.rates:
        world.hosts[name].rate = rate
    for machine in world.machines.values():
        machine.keeps_run = schedule.keeps_run
    for name in schedule.coordinators:
        world.start(name)
    await until(lambda: world.leader() is not None, 20)
    for site in schedule.sites:
        await users.join(site)
        world.start(f"fencer-{site}")
        world.start(f"agent-{site}")
    await until(lambda: _joined(world, schedule), 30)
    for change in schedule.changes:
        if change.at < 0:
            await users.do(change)
    if schedule.homes:
        Students(world, Random(f"students {schedule.seed}")).begin()
    placed = sum(change.at < 0 for change in schedule.changes)
    await until(lambda: _settled(world, placed), SETTLE_S)
    _weather(world, schedule)
    faults, begin_s = Faults(world), loop.true_s
    for trouble in schedule.troubles:
        loop.after(trouble.at, faults.begin, trouble)
    for change in schedule.changes:
        if change.at >= 0:
            loop.after(change.at, users.begin, change)
    await _sleep(loop, begin_s + schedule.chaos_s - loop.true_s)
    faults.end_all()
    _fair(world)
    world.history.add(h.Calm(loop.true_s))
    await _sleep(loop, schedule.calm_s)
    for hub, reason in what_is_left(world):
        world.history.add(h.Left(loop.true_s, hub, reason))
    if schedule.calm_s >= BACK_S:
        note_what_is_not_back(world)
    world.history.ended = True


async def until(condition: Callable[[], bool], limit_s: float) -> None:
    """In fair weather: the set-up must succeed, or the simulation itself is broken."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.1)


async def _sleep(loop: SimLoop, seconds: float) -> None:
    done: asyncio.Future[None] = loop.create_future()
    loop.after(seconds, done.set_result, None)
    await done


def _joined(world: World, schedule: Schedule) -> bool:
    leader = world.leader()
    if leader is None:
        return False
    records = {record.name: record for record in leader.snapshot.sites()}
    return all(site in records and records[site].edge_address for site in schedule.sites)


def _settled(world: World, placed: int) -> bool:
    leader = world.leader()
    seen = leader is not None and len(leader.snapshot.mirror.entries("classroom/")) == placed
    return seen and not what_is_left(world)


def _weather(world: World, schedule: Schedule) -> None:
    world.network.weather = schedule.weather
    for field in Errors.__slots__:
        setattr(world.errors, field, getattr(schedule.errors, field))
    world.names.failing, world.names.slow = schedule.names_failing, schedule.names_slow
    for machine in world.machines.values():
        machine.site.late_s, machine.site.stop_delay_s = schedule.late_start_s, schedule.slow_stop_s


def _fair(world: World) -> None:
    world.network.weather = Weather()
    for field in Errors.__slots__:
        setattr(world.errors, field, getattr(Errors(), field))
    world.names.failing = world.names.slow = 0.0
    for machine in world.machines.values():
        machine.site.late_s, machine.site.stop_delay_s = 0.0, 0.5


def what_is_left(world: World) -> list[tuple[str, str]]:
    """In calm weather everything must come to its best end: each reason why a hub has not."""
    leader = world.leader()
    if leader is None:
        return [("", "no coordinator leads")]
    found: list[tuple[str, str]] = []
    snapshot = leader.snapshot
    serving = {name: machine.serving() for name, machine in world.machines.items()}
    for entry in snapshot.mirror.entries("classroom/"):
        record = snapshot.classroom(entry.key.split("/")[1])
        assert record is not None
        hub = record.document.uid
        found.extend((hub, reason) for reason in _unfinished(world, leader, hub, record.document, serving))
    return found


def _unfinished(world: World, leader: Any, hub: str, record: Any, serving: dict[str, dict[str, h.Pair]]) -> list[str]:
    snapshot = leader.snapshot
    operation, ownership = snapshot.operation(hub), snapshot.ownership(hub)
    if operation is None:
        return ["it has no operation"]
    if not operation.document.done:
        kind, step = operation.document.kind.value, operation.document.step.value
        return [f"{kind} is at {step}: {operation.document.waiting_for or 'no reason'}"]
    where = sorted(site for site, hubs in serving.items() if hub in hubs)
    if record.retired is not None:
        runs = [name for name, machine in world.machines.items() if hub in machine.running()]
        still = [] if ownership is None else [earlier.site for earlier in ownership.document.earlier]
        left = [f"retired, and runs at {runs}"] if runs else []
        return left + ([f"retired, and these never confirmed that they closed: {still}"] if still else [])
    if ownership is None or ownership.document.owner is None or operation.document.step is not Step.DONE:
        return ["nobody owns it"]
    owner, epoch = ownership.document.owner, ownership.document.epoch
    reasons = [] if where == [owner] else [f"owned by {owner} and served at {where or 'no site'}"]
    if where == [owner] and serving[owner][hub] != (epoch.era, epoch.n):
        reasons.append(f"served at {serving[owner][hub]}, owned at {epoch}")
    owned = snapshot.owned(owner, hub)
    if owned is None or not owned.may_be_taken_over:
        wanted = snapshot.wanted_mode(owner, hub)
        reasons.append(
            f"not armed: wanted {wanted.document.mode.value if wanted else 'nothing'}, "
            f"{'; '.join(wanted.document.reasons) if wanted else ''}, {owned}"
        )
    if ownership.document.earlier:
        reasons.append(f"earlier owners never confirmed: {[e.site for e in ownership.document.earlier]}")
    return [*reasons, *_name_problem(world, hub, record, owner, epoch)]


def _name_problem(world: World, hub: str, record: Any, owner: str, epoch: Any) -> list[str]:
    host = record.classroom.spec.dns.host
    named = world.names.service._records.get(host)
    if named is None or named.hub != hub or named.epoch != epoch or not named.target.startswith(f"{owner}."):
        return [f"{host} leads to {named}"]
    return []


def _bury(world: World) -> None:
    """End every task without letting it do anything more to the world."""
    loop = world.loop
    world.network.weather, world.store._closed = Weather(loss=1.0), True
    processes = [*world.processes.values(), *world.graveyard]
    for process in processes:
        process.dead = process.paused = process.host.paused = False
        process.held.clear()
    world.off.update(dict.fromkeys(world.processes, 1))
    tasks = [task for process in processes for task in process.tasks if not task.done()]
    for task in tasks:
        task.cancel()
    loop.run_until_complete(_sleep(loop, 1.0))
    loop._due.clear()
    loop.close()
    processes.clear()
    tasks.clear()
    world.graveyard.clear()
    gc.collect()
