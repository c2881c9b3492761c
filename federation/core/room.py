"""Room before the bell: which seats of classes that are about to meet the nodes of a cluster lack, and how many whole
nodes are to be kept for them. Pure.

A class wants its seats from `warm` before the bell until everybody has come (`ramp`), an exam until its end. What its
students have by then is no seat that is wanted any more. So the number of nodes that are kept falls as students come, and
is nothing when the time is over; a cluster autoscaler takes empty nodes away, and no others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from federation.core.calendar import meetings
from federation.model.classroom import ClassroomSpec
from federation.model.status import Condition, ConditionType, Truth

LATE = timedelta(minutes=5)  # before the bell: what is not there by then is worth an alarm
COMING, MISSED = "RoomMissing", "RoomLate"


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Of a seat, or of what a node has for seats."""

    cpu_millis: int = 0
    memory_bytes: int = 0

    def minus(self, other: Size) -> Size:
        """What is left; never less than nothing."""
        cpu, memory = self.cpu_millis - other.cpu_millis, self.memory_bytes - other.memory_bytes
        return Size(max(0, cpu), max(0, memory))

    def plus(self, other: Size) -> Size:
        return Size(self.cpu_millis + other.cpu_millis, self.memory_bytes + other.memory_bytes)

    def times(self, count: int) -> Size:
        return Size(self.cpu_millis * count, self.memory_bytes * count)

    def holds(self, seat: Size) -> int:
        """How many of these have room in it."""
        sides = ((self.cpu_millis, seat.cpu_millis), (self.memory_bytes, seat.memory_bytes))
        return min((mine // theirs for mine, theirs in sides if theirs > 0), default=0)


STEP = Size(10, 64 << 20)
"""By less than this nodes of one kind differ, and so much of a node a placeholder leaves."""


@dataclass(frozen=True, slots=True)
class Node:
    """`size`: what it has for students' servers if there is nothing else. `others`: what of that is taken by something
    that is no student's server, and no placeholder. `shared`: there is such a thing, whether it takes of that or not.
    `servers`: how many each hub has there. `open`: new ones may start."""

    name: str
    size: Size
    others: Size = Size()
    students: Size = Size()
    servers: Mapping[str, int] = field(default_factory=dict)
    shared: bool = False
    open: bool = True

    @property
    def free(self) -> Size:
        return self.size.minus(self.others).minus(self.students)


@dataclass(frozen=True, slots=True)
class RunningClass:
    """One that the site holds, and that runs there. `servers`: those of students that are on a node."""

    hub: str
    spec: ClassroomSpec
    servers: int = 0


@dataclass(frozen=True, slots=True)
class Wish:
    """The seats of one class time: `seats` in all, `missing` of them are not taken by a student yet."""

    hub: str
    seats: int
    missing: int
    seat: Size
    bell: datetime  # in the time zone of the class


@dataclass(frozen=True, slots=True)
class Room:
    """What became of a wish: so many seats are there, and the rest is on so many nodes that are yet to come."""

    wish: Wish
    there: int
    new_nodes: int = 0

    def condition(self, shape: Size | None, now: datetime) -> Condition:
        """What is said to people."""
        kind, wish = ConditionType.ROOM, self.wish
        seats = f"{wish.seats} seat{'s' if wish.seats > 1 else ''} for {wish.bell:%H:%M}"
        if self.there >= wish.seats:
            said = f"{seats} {'are' if wish.seats > 1 else 'is'} there"
            return Condition(type=kind, status=Truth.TRUE, reason="RoomThere", message=said)
        reason = MISSED if now > wish.bell - LATE else COMING
        said = f"{self.there} of {seats}: {self._why(shape)}"
        return Condition(type=kind, status=Truth.FALSE, reason=reason, message=said)

    def _why(self, shape: Size | None) -> str:
        if self.new_nodes:
            one = self.new_nodes == 1
            return f"{self.new_nodes} more node{'' if one else 's'} {'is' if one else 'are'} asked for"
        if shape is None:
            return "the site has no node for students, so nobody can say how large a new one would be"
        cores, gib = self.wish.seat.cpu_millis / 1000, self.wish.seat.memory_bytes / 2**30
        return f"a seat of {cores:g} cores and {gib:.4g} GiB is larger than what a node has"


@dataclass(frozen=True, slots=True)
class Plan:
    """How many whole nodes of this shape are to be kept, and what each class has that wants seats now."""

    nodes: int = 0
    shape: Size | None = None
    rooms: tuple[Room, ...] = ()


def plan(classes: Iterable[RunningClass], nodes: Sequence[Node], now: datetime) -> Plan:
    """Put every seat that is wanted somewhere: into nodes that are in use, then into whole ones that are there, then into
    new ones. Earlier classes come first."""
    wishes = [wish for one in classes if (wish := wish_of(one, now)) is not None]
    shape = common_shape(nodes)
    bench = _Bench.of(nodes, shape)
    ordered = sorted(wishes, key=lambda wish: (wish.bell, -wish.seat.memory_bytes, -wish.seat.cpu_millis, wish.hub))
    rooms = tuple(bench.seat(wish) for wish in ordered)
    return Plan(bench.kept, shape, rooms)


def wish_of(one: RunningClass, now: datetime) -> Wish | None:
    """The seats that the class wants now; of several times at once the one with the most. None: none."""
    spec, found = one.spec, []
    seat = Size(spec.seat_cpu_millis, spec.seat_memory_bytes)
    for meeting, window in meetings(spec, now, now + timedelta(microseconds=1)):
        come = window.end if meeting.exam else min(window.end, window.start + timedelta(seconds=meeting.ramp.seconds))
        if window.warm <= now < come:
            seats = meeting.attend or spec.roster.expected
            bell = window.start.astimezone(ZoneInfo(spec.term.timezone))
            found.append(Wish(one.hub, seats, max(0, seats - one.servers), seat, bell))
    return max(found, key=lambda wish: (wish.seats, -wish.bell.timestamp()), default=None)


def common_shape(nodes: Iterable[Node]) -> Size | None:
    """What a new node would have: the most common size of those that are there, in whole steps; of equally common ones the
    largest."""
    sizes = Counter(_in_steps(node.size) for node in nodes if node.open and node.size > Size())
    return max(sizes, key=lambda size: (sizes[size], size), default=None)


def _in_steps(size: Size) -> Size:
    cpu, memory = size.cpu_millis, size.memory_bytes
    return Size(cpu - cpu % STEP.cpu_millis, memory - memory % STEP.memory_bytes)


@dataclass(slots=True)
class _Place:
    """A node while seats are put there. `used`: a student is there, or will be."""

    name: str
    free: Size
    used: bool


@dataclass(slots=True)
class _Bench:
    """`open`: nodes that are in use, and those that are too small to be kept. `whole`: those that can be kept, one
    placeholder each. `new`: those that are yet to come. `kept`: how many of the last two kinds are needed."""

    shape: Size | None
    open: list[_Place] = field(default_factory=list)
    whole: list[_Place] = field(default_factory=list)
    new: list[_Place] = field(default_factory=list)
    kept: int = 0

    @classmethod
    def of(cls, nodes: Iterable[Node], shape: Size | None) -> _Bench:
        bench = cls(shape)
        for node in nodes:
            if not node.open:
                continue
            used = bool(node.servers) or node.students > Size()
            place = _Place(node.name, node.free, used)
            free = not (used or node.shared)
            can_be_kept = free and shape is not None and node.free.holds(shape.minus(STEP)) > 0
            (bench.whole if can_be_kept else bench.open).append(place)
        return bench

    def seat(self, wish: Wish) -> Room:
        """Put the class's missing seats somewhere."""
        left = wish.missing
        for place, count in (*_fullest(self.open, wish.seat), *_fullest(self.whole, wish.seat)):
            if not left:
                break
            left -= _put(place, wish.seat, min(left, count))
        self._began()
        there = wish.seats - left
        return Room(wish, there, self._seat_new(wish, left) if left else 0)

    def _began(self) -> None:
        """A whole node in which a seat was put is one in use for whoever comes next, and is kept all the same."""
        begun = [place for place in self.whole if place.used]
        self.whole = [place for place in self.whole if not place.used]
        self.open += begun
        self.kept += len(begun)

    def _seat_new(self, wish: Wish, left: int) -> int:
        """On how many nodes that are yet to come the class has seats."""
        nodes = 0
        for place, count in _fullest(self.new, wish.seat):
            if left:
                left -= _put(place, wish.seat, min(left, count))
                nodes += 1
        each = self.shape.holds(wish.seat) if self.shape is not None else 0
        while self.shape is not None and each and left:
            place = _Place(f"{self.kept:06d}", self.shape, used=False)
            left -= _put(place, wish.seat, min(left, each))
            self.new.append(place)
            self.kept += 1
            nodes += 1
        return nodes


def _fullest(places: Iterable[_Place], seat: Size) -> Iterator[tuple[_Place, int]]:
    """Those with room for a seat, and for how many: first those in use, and of these the fullest."""
    found = [(place, count) for place in places if (count := place.free.holds(seat))]
    yield from sorted(found, key=lambda one: (not one[0].used, one[1], one[0].name))


def _put(place: _Place, seat: Size, count: int) -> int:
    place.free, place.used = place.free.minus(seat.times(count)), True
    return count
