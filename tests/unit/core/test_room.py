"""Room before the bell, with the numbers of real classes: nodes are m3.medium, 8 cores and 30 GB, half a core and 1.5 GiB
of which they keep for themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from federation.core.room import COMING, MISSED, Node, Plan, RunningClass, Size, common_shape, plan
from federation.model.status import Condition, Truth
from tests.support.classrooms import classroom

GIB = 1 << 30
MEDIUM = Size(7500, 30720 * (1 << 20) - 3 * GIB // 2)
SEAT = Size(1000, 4 * GIB)  # that of most classes: seven on a node
BELL = datetime(2026, 9, 1, 19, 30, tzinfo=UTC)  # 14:30 in Chicago
MINUTE = timedelta(minutes=1)


def running(hub: str = "atm101-abc123", *, students: int = 25, servers: int = 0, **meeting: Any) -> RunningClass:
    """Meets on Tuesdays at 14:30 for two hours; a seat has a core and 4 GiB."""
    sizes = {"memory": {"guarantee": "4G", "limit": "4G"}, "cpu": {"guarantee": 1, "limit": 2}}
    weekly = {"weekly": {"days": ["tue"], "at": "14:30", "minutes": 120}}
    roster = {"expected": students, "admins": ["ann"]}
    return RunningClass(hub, classroom(meetings=[{**weekly, **meeting}], resources=sizes, roster=roster).spec, servers)


def node(name: str, hub: str = "atm101-abc123", servers: int = 0, size: Size = MEDIUM) -> Node:
    return Node(name, size, students=SEAT.times(servers), servers={hub: servers} if servers else {})


def nodes(count: int) -> list[Node]:
    return [node(f"n{number}") for number in range(count)]


def said(found: Plan, now: datetime) -> Condition:
    [room] = found.rooms
    return room.condition(found.shape, now)


@pytest.mark.parametrize(
    ("minutes", "kept"),
    [(-16, 0), (-15, 4), (0, 4), (4, 4), (5, 0), (60, 0), (121, 0)],
)
def test_seats_are_kept_from_the_warm_time_until_everybody_has_come(minutes: int, kept: int) -> None:
    """Domain G 9: 25 press Run within a minute; with `warm: 15m` the nodes are there before."""
    assert plan([running()], nodes(1), BELL + minutes * MINUTE).nodes == kept


def test_an_exam_keeps_its_seats_until_its_end() -> None:
    for minutes, kept in ((100, 4), (119, 4), (120, 0)):
        assert plan([running(exam=True)], nodes(1), BELL + minutes * MINUTE).nodes == kept


def test_people_read_how_many_seats_are_there_and_what_is_asked_for() -> None:
    early, late = BELL - 10 * MINUTE, BELL - 4 * MINUTE
    assert said(plan([running()], nodes(4), early), early).message == "25 seats for 14:30 are there"
    missing = said(plan([running()], nodes(3), early), early)
    assert (missing.status, missing.reason) == (Truth.FALSE, COMING)
    assert missing.message == "21 of 25 seats for 14:30: 1 more node is asked for"
    assert said(plan([running()], nodes(2), early), early).message.endswith("2 more nodes are asked for")
    assert said(plan([running()], nodes(3), late), late).reason == MISSED
    assert plan([running()], nodes(3), BELL - 20 * MINUTE).rooms == (), "nobody waits for anything"


def test_where_no_node_is_nothing_is_asked_for() -> None:
    found = plan([running()], [], BELL)
    assert found.nodes == 0
    assert "nobody can say how large" in said(found, BELL).message


def test_a_seat_that_is_larger_than_a_node_asks_for_none() -> None:
    large = classroom(
        meetings=[{"once": {"date": "2026-09-01", "at": "14:30", "minutes": 60}}],
        resources={"memory": {"guarantee": "64G", "limit": "64G"}},
    ).spec
    found = plan([RunningClass("a-1", large)], nodes(3), BELL)
    assert found.nodes == 0
    assert (
        said(found, BELL).message
        == "0 of 10 seats for 14:30: a seat of 1 cores and 64 GiB is larger than what a node has"
    )


def test_students_who_have_come_take_their_seats_and_no_node_too_many_is_kept() -> None:
    """Domain G 9 and 19, seen from the first student to the last: each placeholder that is pushed away is not asked for
    again, and what students sit on is never counted as free."""
    here = nodes(4)
    kept = []
    for come in range(26):
        kept.append(plan([running(servers=come)], here, BELL).nodes)
        full = come // 7
        if come < 25:
            here[full] = node(f"n{full}", servers=come % 7 + 1)
    assert kept == [4] + [3] * 7 + [2] * 7 + [1] * 7 + [0] * 4


def test_a_workshop_in_two_parts_keeps_nothing_in_between() -> None:
    """Domain G 11: 66 seats are ten nodes, 15 minutes before each part; nothing is kept during the week between."""
    parts = [{"once": {"date": day, "at": "14:30", "minutes": 240}} for day in ("2026-09-01", "2026-09-08")]
    spec = running(students=66).spec.model_copy(update={"meetings": classroom(meetings=parts).spec.meetings})
    workshop = [RunningClass("ws-1", spec)]
    week = timedelta(days=7)
    for moment, kept in ((-14, 10), (30, 0), (24 * 60, 0)):
        assert plan(workshop, nodes(1), BELL + moment * MINUTE).nodes == kept
    assert plan(workshop, nodes(1), BELL + week - 14 * MINUTE).nodes == 10


def test_classes_that_meet_together_share_nodes() -> None:
    """Domain G 12: 13 interns take two nodes, one of which has room for one; with 20 more in another class it is five."""
    interns, other = running("soars-1", students=13), running("atm101-1", students=20)
    assert plan([interns], nodes(1), BELL).nodes == 2
    assert plan([other], nodes(1), BELL).nodes == 3
    assert plan([interns, other], nodes(1), BELL).nodes == 5
    fewer = running("atm101-1", students=15)
    assert plan([interns, fewer], nodes(1), BELL).nodes == 4, "28 seats, and not two nodes and three"


def test_seats_go_to_nodes_that_are_in_use_before_a_whole_one_is_kept() -> None:
    """Domain G 19: two live sessions of another class hold two nodes, which nobody empties; their room is used."""
    live = [node("a", "x-1", servers=1), node("b", "x-1", servers=1), *nodes(6)]
    assert plan([running(students=12)], live, BELL).nodes == 0
    assert plan([running(students=13)], live, BELL).nodes == 1


def test_what_others_have_taken_is_no_room_and_such_a_node_is_not_whole() -> None:
    with_others = Node("a", MEDIUM, others=Size(5000, 0))
    assert plan([running(students=2)], [with_others], BELL).nodes == 0
    assert plan([running(students=3)], [with_others], BELL).nodes == 1


def test_nodes_that_take_no_servers_count_for_nothing_and_their_students_are_there() -> None:
    cordoned = Node("a", MEDIUM, students=SEAT.times(2), servers={"atm101-abc123": 2}, open=False)
    assert plan([running(students=4, servers=2)], [cordoned, node("b")], BELL).nodes == 1
    assert common_shape([cordoned]) is None


def test_a_new_node_is_like_most_of_those_that_are_there() -> None:
    small, large = Size(3500, 12 * GIB), Size(15500, 58 * GIB)
    assert common_shape([Node("a", small), Node("b", small), Node("c", large)]) == small
    assert common_shape([Node("a", small), Node("c", large)]) == large, "as often: the larger"


def test_nodes_of_one_kind_that_differ_by_some_kilobytes_are_of_one_shape() -> None:
    alike = [Node(f"n{n}", Size(7500, MEDIUM.memory_bytes + (n - 2) * 8192)) for n in range(4)]
    found = plan([running()], alike, BELL)
    assert (found.nodes, found.rooms[0].there) == (4, 25)


def test_a_node_with_something_else_on_it_is_used_and_cannot_be_kept() -> None:
    shared = Node("a", MEDIUM, shared=True)
    assert plan([running(students=7)], [shared], BELL).nodes == 0
    assert plan([running(students=8)], [shared, node("b")], BELL).nodes == 1


def test_of_two_times_at_once_the_one_with_more_seats_counts() -> None:
    weekly = {"days": ["tue"], "at": "14:30", "minutes": 120}
    both = classroom(meetings=[{"weekly": weekly, "attend": 3}, {"weekly": weekly, "attend": 9}]).spec
    [room] = plan([RunningClass("a-1", both)], nodes(4), BELL).rooms
    assert room.wish.seats == 9


def test_a_large_site_is_judged_in_an_instant() -> None:
    """The agent does it every 15 seconds, beside leases. Measured: 15 ms."""
    here = [node(f"n{number:03}", "x-1", servers=number % 8) for number in range(500)]
    classes = [running(f"c{number:02}-1", students=100) for number in range(50)]
    began = time.process_time()
    plan(classes, here, BELL)
    assert time.process_time() - began < 1.0
