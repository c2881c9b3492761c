"""What the agent answers, as a lease file of a node's own time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.asked_lease import AskedLease, permits_of
from agents.lease_desk import permitted
from federation.core.fencing import Fence, Reading
from federation.core.lease_file import read_lease

S = 10**9
AGENTS = 5_000 * S  # what the agent's clock says: nothing that a node could know


def answer(
    seq: int = 7, boot: str = "agents-boot", incarnation: int = 2, mark: str | None = None, **hubs: float | None
) -> dict[str, Any]:
    """Hub -> seconds after which it is to be closed (and one more until it is to be ended), or None."""
    times = {hub: None if s is None else AGENTS + int(s * S) for hub, s in hubs.items()}
    entries = {
        hub: {"epoch": [1, 3], "close_at": at, "stop_by": at + S if at is not None else None}
        for hub, at in times.items()
    }
    content = json.dumps({"boot_id": boot, "incarnation": incarnation, "seq": seq, "hubs": entries}).encode()
    said: dict[str, Any] = json.loads(json.dumps(permitted(read_lease(content), boot, AGENTS)))
    return {**said, "mark": mark if mark is not None else f"{seq} {sorted(hubs)}"}


def test_what_is_left_counts_from_the_question_and_the_canary_is_left_out() -> None:
    permits = permits_of(answer(a=5, b=None, canary=2), 100 * S, "canary")
    assert permits == {
        "a": {"epoch": [1, 3], "close_at": 105 * S, "stop_by": 106 * S},
        "b": {"epoch": [1, 3], "close_at": None, "stop_by": None},
    }


def test_an_agent_without_a_lease_file_changes_nothing() -> None:
    assert permits_of(permitted(None, "boot", AGENTS), 0, "") is None


@pytest.mark.parametrize(
    "said",
    [
        {}, [], {"order": [1, 2]}, {"order": [1, 2], "hubs": []},
        {"order": [1, 2], "hubs": {"a": {"epoch": [1, 1], "close_in": 5}}},
        {"order": [1, 2], "hubs": {"a": {"epoch": ["x"], "close_in": 5, "stop_in": 6}}},
        {"order": [1, 2], "hubs": {"a": {"epoch": [1, 1], "close_in": "x", "stop_in": 6}}},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(said: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        permits_of(said, 0, "")


@dataclass
class Node:
    """A node that asks once a second, and its fencer's reading of what was written."""

    now: int = 100 * S
    says: Any = None
    written: list[bytes] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asking = AskedLease(self.ask, self.written.append, lambda: self.now, "nodes-boot", self.say)
        self.fence = Fence("nodes-boot", 60 * S, 0)

    def ask(self) -> Any:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def say(self, event: str, *, why: str) -> None:
        self.lines.append((event, why))

    def turn(self, says: Any) -> None:
        self.says = says
        self.asking.turn()
        self.now += S
        if self.written:
            assert self.fence.take(self.written[-1], self.now) is Reading.ACCEPTED


def ends(node: Node) -> list[int | None]:
    """When hub `a` is to be stopped, after each writing."""
    return [read_lease(content).permits["a"].stop_by for content in node.written]


def test_the_same_file_asked_for_again_is_not_written_again() -> None:
    node = Node()
    node.turn(answer(mark="f", a=5))
    node.turn(answer(mark="f", a=4))
    assert ends(node) == [106 * S]


def test_of_two_readings_of_the_same_file_the_later_end_is_the_better_one() -> None:
    """The first answer took half a second on its way, which is not counted: the file ends later than it was thought."""
    node = Node()
    node.turn(answer(mark="f", a=4.5))
    node.turn(answer(mark="f", a=4))
    assert ends(node) == [105.5 * S, 106 * S]


def test_peers_that_promised_make_it_longer_without_a_new_order() -> None:
    node = Node()
    node.turn(answer(mark="f", a=5))
    node.turn(answer(mark="g", a=5))
    assert ends(node) == [106 * S, 107 * S]


def test_what_ends_sooner_by_a_newer_file_ends_sooner() -> None:
    node = Node()
    node.turn(answer(mark="f", a=5))
    node.turn(answer(mark="g", a=1))
    assert ends(node) == [106 * S, 103 * S]


def test_an_agent_that_begins_anew_is_no_older_and_one_that_was_followed_is() -> None:
    node = Node()
    node.turn(answer(incarnation=9, seq=900, a=5))
    node.turn(answer(incarnation=1, seq=1, boot="another host", a=5))
    assert len(node.written) == 2
    node.turn(answer(incarnation=1, seq=0, boot="another host", a=50))
    assert len(node.written) == 2


def test_a_hub_that_comes_or_goes_is_written_at_once() -> None:
    node = Node()
    node.turn(answer(a=5))
    node.turn(answer(a=4, b=1))
    node.turn(answer(a=3))
    assert [set(read_lease(content).permits) for content in node.written] == [{"a"}, {"a", "b"}, {"a"}]


def test_silence_and_nonsense_change_nothing_are_said_once_and_the_hub_lapses_by_itself() -> None:
    node = Node()
    node.turn(answer(a=3))
    for trouble in (OSError("nobody there"), OSError("nobody there"), {"no": "answer"}):
        node.turn(trouble)
    assert len(node.written) == 1
    assert [event for event, _why in node.lines] == ["lease.unasked", "lease.unasked"]
    assert node.fence.verdict(node.now).hubs == {"a": (1, 3)}
    node.turn(answer(seq=9, a=5))
    assert node.lines[-1] == ("lease.asked", "")
    assert node.fence.verdict(node.now).hubs == {}
