"""Operations, every way they can go: all worlds that can be reached from a beginning are visited, not a sample of them.

A world is what survives (the register's documents, the name, the site) and what a leader only remembers (reports). In
each world the leader may move, a look may succeed or fail, the site may go on, and the leader may be killed: before a
move, after it, or between an effect and its record. `carry_out` does what `coordinator/operations_loop.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import product

import pytest

from federation.core.calendar import Window
from federation.core.operation_facts import (
    Acquire,
    Assign,
    Confirm,
    End,
    Facts,
    Finish,
    Keep,
    LookAtCopies,
    Move,
    Name,
    Probe,
    Release,
    Seen,
    TakeBack,
    TakeOver,
    Unname,
    Wait,
    Withdraw,
)
from federation.core.operations import next_move
from federation.core.placement import Choice
from federation.model.identity import Epoch
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import EarlierOwner, Ownership

HUB, SITE = "atm101-abc123", "iu"
NOW = datetime(2026, 9, 1, tzinfo=UTC)
PLACE, RETIRE = OperationKind.PLACE, OperationKind.RETIRE
STEPS = {
    PLACE: (Step.ADMITTED, Step.ASSIGNED, Step.STARTED, Step.VERIFIED, Step.NAMED, Step.DONE),
    RETIRE: (Step.ADMITTED, Step.CLOSED, Step.STOPPED, Step.UNNAMED, Step.DONE),
}
FITS, NOTHING_FITS = Choice(SITE, None, "fits", ()), Choice(None, None, "no site fits (iu: full)", ())
MEETING = Window(NOW, NOW, NOW)
FIRST, SECOND, THIRD = (Epoch(era=1, n=n) for n in (1, 2, 3))


@dataclass(frozen=True)
class Site:
    """What the agent has: the epoch that it was granted, that it runs the hub at, and whose end it has heard of."""

    held: Epoch | None = None
    ended: Epoch | None = None
    running: Epoch | None = None
    generation: int = 0
    homes: bool = False

    def seen(self, ownership: Ownership) -> Seen:
        """A report of this, as the leader reads it."""
        return Seen(
            epoch_matches=(self.running or self.ended or self.held) == ownership.epoch,
            generation=self.generation,
            phase="serving" if self.running else "stopped",
            gate_open=self.running is not None and self.running == self.held,
            processes=3 if self.running else 0,
            homes="/homes" if self.homes else "",
        )


@dataclass(frozen=True)
class World:
    """All that matters. `document` is the operation as stored; `granted` is on its way to the site; `reported` is how
    the site was when it last reported to this leader. Both may be of a while ago."""

    document: str
    ownership: Ownership | None
    site: Site = Site()
    name_leads_to: str = ""
    granted: Epoch | None = None
    reported: Site | None = None

    @property
    def operation(self) -> Operation:
        return read_back(self.document)


@cache
def read_back(document: str) -> Operation:
    return Operation.model_validate_json(document)


def order(kind: OperationKind, generation: int = 1, *, delete_homes: bool = False) -> str:
    return Operation(
        id="op1",
        kind=kind,
        hub=HUB,
        name="atm101",
        generation=generation,
        created=NOW,
        actor="user/ann",
        delete_homes=delete_homes,
    ).model_dump_json()


OWNED = Ownership(hub=HUB, owner=SITE, epoch=FIRST)
LEFT = EarlierOwner(site=SITE, epoch=FIRST)
ENDED = Ownership(hub=HUB, owner=None, epoch=SECOND, tombstone=True, homes_at=SITE)
SERVES, STOPPED = Site(held=FIRST, running=FIRST, generation=1, homes=True), Site(ended=SECOND, homes=True)
BEGINNINGS = {
    "place a new class": World(order(PLACE), None),
    "place a changed class": World(order(PLACE, 2), OWNED, SERVES, SITE),
    "restore a retired class": World(order(PLACE, 2), ENDED, STOPPED),
    "retire a class that serves": World(order(RETIRE), OWNED, SERVES, SITE),
    "retire a class that never started": World(order(RETIRE), OWNED),
    "retire a class that was never assigned": World(order(RETIRE), None),
    "retire a class that has ended already": World(order(RETIRE), ENDED, STOPPED),
    "retire a class with its homes": World(order(RETIRE, delete_homes=True), OWNED, SERVES, SITE),
    "retire a class that never started with its homes": World(order(RETIRE, delete_homes=True), OWNED),
    "delete the homes of a retired class": World(order(RETIRE, delete_homes=True), ENDED, STOPPED),
}


def facts(world: World, choice: Choice = FITS) -> Facts:
    """What the leader knows: the register, and the report that it has heard itself."""
    ownership = world.ownership
    report = world.reported.seen(ownership) if ownership and world.reported else None
    return Facts(
        world.operation,
        ownership,
        lambda: choice,
        seen=report if ownership and ownership.owner else None,
        earlier_seen=report if ownership and ownership.earlier else None,
    )


def stepped(world: World, step: Step) -> World:
    return replace(world, document=world.operation.finished(step, NOW).model_dump_json())


def carry_out(world: World, move: Move) -> World:
    """The one write of a move: the step together with what it changes."""
    before = world.ownership
    match move:
        case Assign(choice):
            epoch = before.epoch.next() if before else FIRST
            earlier = before.earlier if before else ()
            owned = Ownership(hub=HUB, owner=choice.site, epoch=epoch, earlier=earlier)
            return replace(stepped(world, Step.ASSIGNED), ownership=owned)
        case End():
            assert before is not None
            site = before.owner or before.homes_at
            assert site is not None
            ended = before.revise(owner=None, epoch=before.epoch.next(), tombstone=True, homes_at=site)
            ended = ended.revise(earlier=(*before.earlier, EarlierOwner(site=site, epoch=before.epoch)))
            return replace(stepped(world, Step.CLOSED), ownership=ended)
        case Confirm(step, _):
            assert before is not None
            return replace(stepped(world, step), ownership=before.revise(earlier=before.earlier[:-1]))
        case Finish(step, _):
            return stepped(world, step)
        case Wait(reason):
            return replace(world, document=world.operation.revise(waiting_for=reason).model_dump_json())
        case Probe() | Name() | Unname():
            raise AssertionError("a look is followed by what was seen")
        case LookAtCopies() | TakeOver() | Withdraw() | Release() | Acquire() | Keep() | TakeBack():
            raise AssertionError("a failover is in the federation's simulation, a planned move in test_moving")


def leader_moves(world: World) -> Iterator[World]:
    """Every outcome of one turn of the leader. A look changes the name even if the leader dies before it says so."""
    known = facts(world)
    move = next_move(known)
    if known.operation.step is Step.ADMITTED and known.operation.kind is PLACE:
        yield carry_out(world, next_move(replace(known, in_meeting=MEETING)))
        yield carry_out(world, next_move(replace(known, no_room="needs 9 cores")))
    match move:
        case Probe():
            yield carry_out(world, next_move(replace(known, verified=False, problem="no answer")))
            if world.site.running is not None:
                yield carry_out(world, next_move(replace(known, verified=True)))
        case Name():
            assert world.ownership is not None
            led = replace(world, name_leads_to=world.ownership.owner or "")
            yield led
            yield carry_out(led, next_move(replace(known, name_leads_here=False, problem="not seen yet")))
            yield carry_out(led, next_move(replace(known, name_leads_here=True)))
        case Unname():
            removed = replace(world, name_leads_to="")
            yield removed
            yield carry_out(world, next_move(replace(known, name_exists=True, problem="no answer")))
            yield carry_out(removed, next_move(replace(known, name_exists=False)))
        case Assign():
            yield carry_out(world, move)
            yield carry_out(world, next_move(facts(world, NOTHING_FITS)))
        case _:
            yield carry_out(world, move)


def site_goes_on(world: World) -> Iterator[World]:
    """The agent hears what it was granted and what has ended, starts, stops, deletes, and reports."""
    site, ownership, granted = world.site, world.ownership, world.granted
    if ownership is not None and ownership.owner == SITE:
        yield replace(world, granted=ownership.epoch)
    if granted is not None and (site.ended is None or granted > site.ended):
        yield replace(world, site=replace(site, held=granted, ended=None))
    if ownership is not None and ownership.tombstone and site.held is not None:
        yield replace(world, site=replace(site, held=None, ended=ownership.epoch))
    if site.held is not None:
        yield replace(world, site=replace(site, running=site.held, generation=world.operation.generation, homes=True))
    if site.ended is not None:
        yield replace(world, site=replace(site, running=None, generation=0))
    if ownership is not None and ownership.tombstone and ownership.earlier:  # so it is told to stop the hub
        if site.held is None and site.running is None:
            yield replace(world, site=replace(site, ended=ownership.epoch))
        if site.ended == ownership.epoch and site.running is None and world.operation.delete_homes:
            yield replace(world, site=replace(site, homes=False))
    yield replace(world, reported=site)


def another_leads(world: World) -> World:
    """The new leader reads the register and remembers nothing."""
    return replace(world, reported=None)


def successors(world: World) -> Iterator[World]:
    if not world.operation.done:
        yield from leader_moves(world)
    yield from site_goes_on(world)
    yield another_leads(world)


@cache
def reachable(beginning: str) -> dict[World, frozenset[World]]:
    """Every world that can come of a beginning, with those that may come next."""
    graph: dict[World, frozenset[World]] = {}
    waiting = [BEGINNINGS[beginning]]
    while waiting:
        world = waiting.pop()
        if world not in graph:
            graph[world] = frozenset(successors(world)) - {world}
            waiting.extend(graph[world])
            assert len(graph) < 5000, "there is no end to it"
    return graph


each_beginning = pytest.mark.parametrize("beginning", BEGINNINGS)


@each_beginning
def test_whatever_happened_the_end_can_still_be_reached(beginning: str) -> None:
    graph = reachable(beginning)
    comes_from: dict[World, set[World]] = {world: set() for world in graph}
    for world, following in graph.items():
        for one in following:
            comes_from[one].add(world)
    hopeful = {world for world in graph if world.operation.done}
    waiting = list(hopeful)
    while waiting:
        for before in comes_from[waiting.pop()] - hopeful:
            hopeful.add(before)
            waiting.append(before)
    stuck = set(graph) - hopeful
    assert not stuck, f"{len(stuck)} of {len(graph)} worlds have no way to the end, such as {min(stuck, key=repr)}"


@each_beginning
def test_every_way_ends_with_the_same_records_and_the_same_name(beginning: str) -> None:
    ends = {world for world in reachable(beginning) if world.operation.done}
    assert len({(world.document, world.ownership, world.name_leads_to) for world in ends}) == 1


@pytest.mark.parametrize("beginning", [name for name in BEGINNINGS if BEGINNINGS[name].operation.kind is PLACE])
def test_a_class_that_is_placed_was_seen_serving_at_its_epoch_and_generation(beginning: str) -> None:
    for world in reachable(beginning):
        if world.operation.step in (Step.STARTED, Step.VERIFIED, Step.NAMED, Step.DONE):
            assert world.ownership is not None
            assert world.site.running == world.ownership.epoch
            assert world.site.generation == world.operation.generation


@pytest.mark.parametrize("beginning", [name for name in BEGINNINGS if BEGINNINGS[name].operation.kind is RETIRE])
def test_nothing_of_a_class_is_left_once_it_was_seen_stopped(beginning: str) -> None:
    """Not even if a grant was on its way, and the last report was made before it arrived."""
    for world in reachable(beginning):
        if world.operation.step in (Step.STOPPED, Step.UNNAMED, Step.DONE):
            assert world.site.running is None, world
            assert not (world.site.homes and world.operation.delete_homes), world


@each_beginning
def test_each_step_is_recorded_once_and_in_order(beginning: str) -> None:
    for world in reachable(beginning):
        operation = world.operation
        steps = STEPS[operation.kind]
        recorded = tuple(record.step for record in operation.history)
        assert recorded == steps[1 : len(recorded) + 1]
        assert operation.step is steps[len(recorded)]


@each_beginning
def test_an_epoch_rises_once_at_most_and_never_falls(beginning: str) -> None:
    """A hub is assigned or ended once however often the leader changes; nobody owns it twice."""
    start = BEGINNINGS[beginning].ownership
    first = start.epoch.n if start else 0
    for world, following in reachable(beginning).items():
        n = world.ownership.epoch.n if world.ownership else 0
        assert n in (first, first + 1)
        assert all(n <= (after.ownership.epoch.n if after.ownership else 0) for after in following)


@each_beginning
def test_of_two_leaders_that_decided_on_the_same_world_the_second_is_refused(beginning: str) -> None:
    """Writes compare the operation as it was read; so each must change it, or change nothing at all."""
    for world in reachable(beginning):
        if not world.operation.done:
            move = next_move(facts(world))
            if not isinstance(move, Probe | Name | Unname):
                after = carry_out(world, move)
                assert after.document != world.document or after == world


OWNERSHIPS = [
    None, OWNED, ENDED, ENDED.revise(earlier=(LEFT,)), Ownership(hub=HUB, epoch=FIRST),
    Ownership(hub=HUB, owner=SITE, epoch=THIRD, earlier=(LEFT,)),
]  # fmt: skip
SEEN = [None] + [
    Seen(epoch_matches=matches, generation=generation, phase=phase, gate_open=gate, processes=processes)
    for matches, generation, phase, gate, processes in product(
        [True, False], [0, 1], ["serving", "starting", "stopped"], [True, False], [0, 2]
    )
]
NOTHING_LEFT = Seen(epoch_matches=True, generation=0, phase="stopped", gate_open=False, processes=0)
LOOKS = [None, False, True]


def all_facts(kind: OperationKind) -> Iterator[Facts]:
    """Every combination that there is, also those that should never be."""
    steps = [step for step in Step if step is not Step.DONE]
    for step, ownership, choice, look in product(steps, OWNERSHIPS, [FITS, NOTHING_FITS], LOOKS):
        operation = read_back(order(kind)).revise(step=step)
        for seen in SEEN:
            yield Facts(operation, ownership, lambda c=choice: c, seen, seen, look, look, look)  # type: ignore[misc]


@pytest.mark.parametrize("kind", [PLACE, RETIRE])
def test_a_move_never_leaves_out_a_step_and_believes_only_evidence(kind: OperationKind) -> None:
    following = dict(zip(STEPS[kind], STEPS[kind][1:], strict=False))
    for known in all_facts(kind):
        if known.operation.step not in following:
            continue
        move, ownership = next_move(known), known.ownership
        match move:
            case Assign(choice):
                assert known.operation.step is Step.ADMITTED
                assert ownership is None or ownership.owner is None, "a hub with an owner is never placed again"
                assert choice.site is not None
            case End():
                assert ownership is not None
                assert not ownership.tombstone
            case Finish(step, _) | Confirm(step, _):
                assert step is following[known.operation.step]
                assert step is not Step.STARTED or (known.seen and known.seen.epoch_matches and known.seen.gate_open)
                assert step is not Step.VERIFIED or known.verified
                assert step is not Step.NAMED or known.name_leads_here
                assert step is not Step.UNNAMED or known.name_exists is False
                assert step is not Step.STOPPED or not ownership or not ownership.earlier or isinstance(move, Confirm)
                assert not isinstance(move, Confirm) or (
                    known.earlier_seen and replace(known.earlier_seen, generation=0) == NOTHING_LEFT
                )
            case Wait(reason):
                assert reason
            case Probe() | Name() | Unname():
                pass


def test_a_stop_is_believed_only_from_a_site_that_has_heard_of_the_end() -> None:
    """Granted and not yet started, a hub is "stopped" with no processes; the agent may start it a moment later."""
    ended = ENDED.revise(earlier=(LEFT,))
    closed = read_back(order(RETIRE)).revise(step=Step.CLOSED)
    for site in (Site(), Site(held=FIRST), SERVES):
        move = next_move(Facts(closed, ended, lambda: FITS, earlier_seen=site.seen(ended)))
        assert isinstance(move, Wait), move
