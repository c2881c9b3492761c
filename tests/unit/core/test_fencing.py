"""Which hubs must not run, as a table over what the lease file said and what the clock says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from federation.core.fencing import START_GRACE_NS, Fence, Reading

S = 1_000_000_000
LONGEST = 9 * S
NOW = 1_000 * S
STANDING = (None, None)


def file(
    hubs: Mapping[str, tuple[int | None, int | None]], *, seq: int = 1, incarnation: int = 1, boot: str = "boot"
) -> bytes:
    """hub -> (close_at, stop_by), all at epoch 1.1."""
    entries = {h: {"epoch": [1, 1], "close_at": close, "stop_by": stop} for h, (close, stop) in hubs.items()}
    return json.dumps({"boot_id": boot, "incarnation": incarnation, "seq": seq, "hubs": entries}).encode()


def armed(seconds: float) -> tuple[int, int]:
    """To be stopped so many seconds after NOW."""
    at = NOW + int(seconds * S)
    return at - S, at


@pytest.fixture
def fence() -> Fence:
    return Fence("boot", LONGEST, NOW, canary="canary-iu")


def test_an_armed_hub_must_not_run_from_its_deadline_on(fence: Fence) -> None:
    fence.take(file({"h": armed(5)}), NOW)
    assert not fence.verdict(NOW + 5 * S - 1).condemns
    assert fence.verdict(NOW + 5 * S).hubs == {"h": (1, 1)}


def test_a_standing_hub_may_run_for_ever(fence: Fence) -> None:
    fence.take(file({"h": STANDING}), NOW)
    assert not fence.verdict(NOW + 10**9 * S).condemns


def test_what_no_file_named_is_left_to_the_agent(fence: Fence) -> None:
    fence.take(file({}), NOW)
    assert not fence.verdict(NOW + 100 * S).condemns


def test_a_renewal_moves_the_deadline(fence: Fence) -> None:
    fence.take(file({"h": armed(5)}), NOW)
    fence.take(file({"h": armed(8)}, seq=2), NOW + S)
    assert not fence.verdict(NOW + 6 * S).condemns
    assert fence.verdict(NOW + 8 * S).hubs


def test_a_lapsed_hub_that_is_granted_again_may_run(fence: Fence) -> None:
    fence.take(file({"h": armed(1)}), NOW)
    assert fence.verdict(NOW + 2 * S).hubs
    fence.take(file({"h": armed(7)}, seq=2), NOW + 2 * S)
    assert not fence.verdict(NOW + 2 * S).condemns


def test_an_armed_hub_that_leaves_the_file_keeps_its_deadline(fence: Fence) -> None:
    fence.take(file({"h": armed(5)}), NOW)
    fence.take(file({}, seq=2), NOW + S)
    assert not fence.verdict(NOW + 4 * S).condemns
    assert fence.verdict(NOW + 5 * S).hubs == {"h": (1, 1)}
    assert fence.has_parted("h")
    fence.forget("h")
    assert not fence.verdict(NOW + 6 * S).condemns


def test_a_standing_hub_that_leaves_the_file_is_left_to_the_agent(fence: Fence) -> None:
    fence.take(file({"h": STANDING}), NOW)
    fence.take(file({}, seq=2), NOW)
    assert not fence.verdict(NOW + 100 * S).condemns


def test_a_hub_that_left_and_came_back_standing_may_run(fence: Fence) -> None:
    fence.take(file({"h": armed(5)}), NOW)
    fence.take(file({}, seq=2), NOW)
    fence.take(file({"h": STANDING}, seq=3), NOW)
    assert not fence.verdict(NOW + 100 * S).condemns


def test_a_hub_that_lapsed_is_not_saved_by_one_that_did_not(fence: Fence) -> None:
    fence.take(file({"a": armed(2), "b": armed(5), "c": STANDING}), NOW)
    assert fence.verdict(NOW + 3 * S).hubs.keys() == {"a"}
    assert fence.verdict(NOW + 6 * S).hubs.keys() == {"a", "b"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, Reading.MISSING),
        (b"", Reading.UNREADABLE),
        (b"{", Reading.UNREADABLE),
        (b"[" * 100_000, Reading.UNREADABLE),
        (b"\xff\x00", Reading.UNREADABLE),
        (b"null", Reading.UNREADABLE),
        (file({"h": (NOW, None)}, seq=9, incarnation=2), Reading.UNREADABLE),
        (file({"h": (None, NOW)}, seq=9, incarnation=2), Reading.UNREADABLE),
        (file({"h": (NOW + S, NOW)}, seq=9, incarnation=2), Reading.UNREADABLE),
        (file({"h": STANDING}, seq=9, boot="other"), Reading.OTHER_BOOT),
        (file({"h": STANDING}, seq=1, incarnation=2), Reading.OLDER),
        (file({"h": STANDING}, seq=9, incarnation=1), Reading.OLDER),
        (file({"h": armed(9.1)}, seq=9, incarnation=2), Reading.TOO_FAR),
    ],
)
def test_what_is_not_accepted_changes_nothing(fence: Fence, content: bytes | None, why: Reading) -> None:
    fence.take(file({"h": armed(5)}, seq=2, incarnation=2), NOW)
    assert fence.take(content, NOW) is why
    assert fence.order == (2, 2)
    assert not fence.verdict(NOW + 4 * S).condemns
    assert fence.verdict(NOW + 5 * S).hubs


def test_after_a_restart_a_file_older_than_what_was_taken_before_is_not_believed() -> None:
    """Somebody put back a file of before the hub was armed: nothing is known, so nothing may run for long."""
    again = Fence("boot", LONGEST, NOW, least=(1, 5))
    assert again.take(file({"h": STANDING}, seq=4), NOW) is Reading.OLDER
    assert again.order == (-1, -1), "which is no acknowledgement of any deadline"
    assert again.newest == (1, 5)
    assert again.verdict(NOW + START_GRACE_NS).every_hub
    assert again.take(file({"h": STANDING}, seq=5), NOW) is Reading.ACCEPTED


def test_other_content_of_the_same_order_is_taken(fence: Fence) -> None:
    """What is taken away leaves the file before the next answer is processed."""
    fence.take(file({"h": STANDING}, seq=2), NOW)
    assert fence.take(file({"h": armed(3)}, seq=2), NOW) is Reading.ACCEPTED
    assert fence.verdict(NOW + 3 * S).hubs


@pytest.mark.parametrize("content", [None, b"{", file({"h": STANDING}, boot="other")])
def test_with_nothing_in_memory_and_nothing_readable_no_hub_may_run(fence: Fence, content: bytes | None) -> None:
    fence.take(content, NOW)
    assert not fence.verdict(NOW + START_GRACE_NS - 1).condemns
    assert fence.verdict(NOW + START_GRACE_NS).every_hub
    assert fence.verdict(NOW + START_GRACE_NS).edge_before is None  # it is closed without a file
    fence.take(file({}), NOW + START_GRACE_NS)
    assert not fence.verdict(NOW + 100 * S).condemns


def test_a_file_of_another_profile_is_not_acknowledged_and_stops_nothing(fence: Fence) -> None:
    """Without the acknowledgement nothing gets armed, so there is nothing that a fence would protect."""
    assert fence.take(file({"h": armed(60), "i": STANDING}), NOW) is Reading.TOO_FAR
    assert fence.order == (-1, -1)
    assert not fence.verdict(NOW + 30 * S).condemns


def test_the_edge_ends_when_nothing_is_left_that_it_could_serve(fence: Fence) -> None:
    fence.take(file({"a": armed(2), "b": armed(5)}), NOW)
    assert fence.verdict(NOW + 3 * S).edge_before is None
    assert fence.verdict(NOW + 6 * S).edge_before == NOW + 5 * S


@pytest.mark.parametrize("others", [{}, {"b": STANDING}])
def test_the_edge_stays_for_hubs_that_may_run_and_without_hubs(fence: Fence, others: dict[str, Any]) -> None:
    fence.take(file({"a": armed(2)}), NOW)
    fence.take(file({**others, "canary-iu": armed(2)}, seq=2), NOW)
    verdict = fence.verdict(NOW + 6 * S)
    assert verdict.hubs.keys() == {"a", "canary-iu"}
    assert verdict.edge_before is None


def test_a_canary_that_leaves_the_file_is_over(fence: Fence) -> None:
    fence.take(file({"canary-iu": armed(2)}), NOW)
    assert fence.verdict(NOW + 3 * S).hubs.keys() == {"canary-iu"}
    fence.take(file({}, seq=2), NOW + 3 * S)
    assert not fence.verdict(NOW + 4 * S).condemns
