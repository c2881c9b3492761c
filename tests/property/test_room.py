"""Room before the bell, for any classes and nodes: no seat less than promised, nothing outside of class time, and never
more nodes because students have come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.core.room import Node, Plan, RunningClass, Size, plan, wish_of
from tests.support.classrooms import classroom

MIB = 1 << 20
BELL = datetime(2026, 9, 1, 19, 30, tzinfo=UTC)
SHAPES = (Size(4000, 4096 * MIB), Size(8000, 8192 * MIB))
SEATS = (Size(500, 256 * MIB), Size(1000, 1024 * MIB), Size(250, 2048 * MIB))


def running(hub: str, seat: Size, students: int, servers: int = 0) -> RunningClass:
    sizes = {
        "memory": {"guarantee": f"{seat.memory_bytes // MIB}M", "limit": "8G"},
        "cpu": {"guarantee": seat.cpu_millis / 1000, "limit": 8},
    }
    spec = classroom(
        meetings=[{"weekly": {"days": ["tue"], "at": "14:30", "minutes": 120}}],
        resources=sizes,
        roster={"expected": students, "admins": ["ann"]},
    ).spec
    return RunningClass(hub, spec, servers)


def sized(seats: Sequence[Size]) -> st.SearchStrategy[list[RunningClass]]:
    one = st.tuples(st.sampled_from(seats), st.integers(1, 30), st.integers(0, 35))
    return st.lists(one, max_size=4).map(
        lambda found: [running(f"c{n}", seat, students, servers) for n, (seat, students, servers) in enumerate(found)]
    )


@st.composite
def some_nodes(draw: st.DrawFn, shapes: Sequence[Size] = SHAPES) -> list[Node]:
    found = []
    for number in range(draw(st.integers(1, 6))):
        size = draw(st.sampled_from(shapes))
        others = draw(st.sampled_from([Size(), Size(), Size(300, 100 * MIB)]))
        students = draw(st.sampled_from([Size(), Size(), Size(500, 256 * MIB), Size(3000, 1024 * MIB)]))
        found.append(Node(f"n{number}", size, others, students, open=draw(st.integers(0, 5)) > 0))
    return found


any_moment = st.integers(-60, 180).map(lambda minutes: BELL + timedelta(minutes=minutes))


def sit(nodes: list[Node], index: int, one: RunningClass) -> tuple[list[Node], RunningClass]:
    """A student of the class starts a server there."""
    here, seat = nodes[index], seat_of(one)
    students = Size(here.students.cpu_millis + seat.cpu_millis, here.students.memory_bytes + seat.memory_bytes)
    servers = {**here.servers, one.hub: here.servers.get(one.hub, 0) + 1}
    after = [replace(node, students=students, servers=servers) if node is here else node for node in nodes]
    return after, replace(one, servers=one.servers + 1)


def seat_of(one: RunningClass) -> Size:
    return Size(one.spec.seat_cpu_millis, one.spec.seat_memory_bytes)


def room_for(nodes: Sequence[Node], seat: Size) -> int:
    return sum(node.free.holds(seat) for node in nodes)


def is_whole(node: Node, found: Plan) -> bool:
    return found.shape is not None and node.students == Size() and node.free.holds(found.shape) > 0


@settings(deadline=None)
@given(sized(SEATS), some_nodes(), any_moment, st.randoms(use_true_random=False))
def test_the_order_of_what_is_known_makes_no_difference(classes, nodes, now, random) -> None:  # type: ignore[no-untyped-def]
    found = plan(classes, nodes, now)
    random.shuffle(classes)
    random.shuffle(nodes)
    assert plan(classes, nodes, now) == found


@settings(deadline=None)
@given(sized(SEATS), some_nodes(), any_moment)
def test_nothing_is_kept_outside_of_class_time(classes: list[RunningClass], nodes: list[Node], now: datetime) -> None:
    found = plan(classes, nodes, now)
    wanted = BELL - timedelta(minutes=15) <= now < BELL + timedelta(minutes=5)
    assert len(found.rooms) == (len(classes) if wanted else 0)
    if not wanted:
        assert found.nodes == 0


@settings(deadline=None)
@given(st.sampled_from(SEATS).flatmap(lambda seat: sized([seat])), some_nodes(), st.data())
def test_every_seat_has_room_whichever_whole_nodes_are_kept(
    classes: list[RunningClass], nodes: list[Node], data: st.DataObject
) -> None:
    """Of one size of seat. Placeholders choose their nodes themselves, and an autoscaler may take away every other whole
    one; what is yet to come comes."""
    found = plan(classes, nodes, BELL)
    there = [node for node in nodes if node.open]
    whole = [node for node in there if is_whole(node, found)]
    stays = [node for node in there if not is_whole(node, found)]
    kept = data.draw(st.permutations(whole))[: found.nodes]
    if found.shape is None:
        assert not found.nodes, "nobody knows what a new one would be"
        return
    new = [Node(f"new{n}", found.shape) for n in range(found.nodes - len(kept))]
    for seat in {seat_of(one) for one in classes}:
        missing = sum(room.wish.missing for room in found.rooms)
        assert room_for([*stays, *kept, *new], seat) >= missing
        assert sum(room.there - (room.wish.seats - room.wish.missing) for room in found.rooms) <= room_for(there, seat)


@settings(deadline=None)
@given(sized(SEATS), some_nodes(SHAPES[:1]), st.data())
def test_seats_of_several_sizes_fit_together_where_the_plan_has_put_them(
    classes: list[RunningClass], nodes: list[Node], data: st.DataObject
) -> None:
    """Students who come in the order of the plan, to the fullest node that takes them: all of them sit, whole nodes come
    one by one, and the plan never grows."""
    found = plan(classes, nodes, BELL)
    kept, now_there = found.nodes, list(nodes)
    assert found.shape is not None or not kept
    here = {one.hub: one for one in classes}
    existing = sum(is_whole(node, found) for node in nodes if node.open)
    now_there += [Node(f"new{n}", found.shape or Size()) for n in range(max(0, kept - existing))]
    for room in found.rooms:
        for _ in range(room.wish.missing):
            one = here[room.wish.hub]
            able = [n for n, node in enumerate(now_there) if node.open and node.free.holds(seat_of(one))]
            if not able:
                break
            first = min(able, key=lambda n: _fullest(now_there[n], seat_of(one), found))
            now_there, here[one.hub] = sit(now_there, first, one)
            after = plan(here.values(), now_there, BELL).nodes
            assert after <= kept
            kept = after
    short = [room for room in found.rooms if found.shape is None or not found.shape.holds(room.wish.seat)]
    if not short:
        assert all(here[room.wish.hub].servers >= room.wish.seats for room in found.rooms)
        assert kept == 0


def _fullest(node: Node, seat: Size, found: Plan) -> tuple[bool, bool, int, str]:
    return is_whole(node, found), node.students == Size(), node.free.holds(seat), node.name


@settings(deadline=None)
@given(st.sampled_from(SEATS).flatmap(lambda seat: sized([seat])), some_nodes(), st.data())
def test_a_student_who_was_expected_never_raises_the_count_wherever_the_server_starts(
    classes: list[RunningClass], nodes: list[Node], data: st.DataObject
) -> None:
    for _ in range(12):
        before = plan(classes, nodes, BELL).nodes
        comes = [(n, one) for n, one in enumerate(classes) if (wish := wish_of(one, BELL)) and wish.missing]
        able = [n for n, node in enumerate(nodes) if node.open and comes and node.free.holds(seat_of(comes[0][1]))]
        if not able:
            return
        number, one = data.draw(st.sampled_from(comes))
        nodes, classes[number] = sit(nodes, data.draw(st.sampled_from(able)), one)
        assert plan(classes, nodes, BELL).nodes <= before
