"""What the agent answers, as a lease file of a node's own time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.asked_lease import AskedLease, lease_of
from agents.lease_desk import permitted
from federation.core.fencing import Fence, Reading
from federation.core.lease_file import read_lease

S = 10**9
AGENTS = 5_000 * S  # what the agent's clock says: nothing that a node could know


def answer(seq: int = 7, boot: str = "agents-boot", **hubs: float | None) -> dict[str, Any]:
    """Hub -> seconds after which it is to be closed (and one more until it is to be ended), or None."""
    times = {hub: None if s is None else AGENTS + int(s * S) for hub, s in hubs.items()}
    entries = {
        hub: {"epoch": [1, 3], "close_at": at, "stop_by": at + S if at is not None else None}
        for hub, at in times.items()
    }
    content = json.dumps({"boot_id": boot, "incarnation": 2, "seq": seq, "hubs": entries}).encode()
    return json.loads(json.dumps(permitted(read_lease(content), boot, AGENTS)))  # type: ignore[no-any-return]


def test_what_is_left_counts_from_the_question() -> None:
    content = lease_of(answer(a=5, b=None), 100 * S, "nodes-boot")
    assert content is not None
    file = read_lease(content)
    assert (file.boot_id, file.order) == ("nodes-boot", (2, 7))
    assert (file.permits["a"].close_at, file.permits["a"].stop_by) == (105 * S, 106 * S)
    assert (file.permits["b"].close_at, file.permits["b"].stop_by) == (None, None)


def test_an_agent_without_a_lease_file_changes_nothing() -> None:
    assert lease_of(permitted(None, "boot", AGENTS), 0, "nodes-boot") is None


@pytest.mark.parametrize(
    "said",
    [
        {}, [], {"order": [1, 2]}, {"order": [1], "hubs": {}}, {"order": [1, "x"], "hubs": {}},
        {"order": [1, 2], "hubs": {"a": {"epoch": [1, 1], "close_in": 5}}},
        {"order": [1, 2], "hubs": {"a": {"epoch": [1], "close_in": 5, "stop_in": 6}}},
        {"order": [1, 2], "hubs": {"a": {"epoch": [1, 1], "close_in": "x", "stop_in": 6}}},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        lease_of(said, 0, "nodes-boot")


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


def test_the_same_lease_asked_for_again_ends_when_it_ended_the_first_time() -> None:
    node = Node()
    node.turn(answer(a=5))
    node.turn(answer(a=4.5))  # a second later half a second less is left: somebody's clock is slow
    assert len(node.written) == 1
    node.turn(answer(seq=8, a=5))
    assert len(node.written) == 2


def test_a_hub_that_comes_or_goes_without_a_new_answer_of_the_register_is_written_at_once() -> None:
    """As the canary does."""
    node = Node()
    node.turn(answer(a=5))
    node.turn(answer(a=4, canary=1))
    node.turn(answer(a=3))
    assert [set(read_lease(content).permits) for content in node.written] == [{"a"}, {"a", "canary"}, {"a"}]


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
