"""The checker of histories finds what was planted, and finds nothing in a history that is right."""

import pytest

from tests.support.history import Entry, Pair, judge

E1, E2 = (1, 1), (1, 2)


def entry(at: int, site: str, event: str, epoch: Pair = E1) -> Entry:
    return Entry(at, site, event, "h1", epoch)


RIGHT = [
    entry(1, "iu", "grant"),
    entry(2, "iu", "start"),
    entry(3, "iu", "open"),
    entry(4, "iu", "revoke"),
    entry(5, "iu", "close"),
    entry(6, "iu", "stop"),
    entry(7, "tacc", "grant", E2),
    entry(8, "tacc", "start", E2),
    entry(9, "tacc", "open", E2),
]


def test_a_right_history_passes() -> None:
    assert judge(RIGHT) == []


def test_a_site_that_boots_and_is_granted_its_class_anew_passes() -> None:
    again = [entry(5, "iu", "grant"), entry(6, "iu", "start"), entry(7, "iu", "open")]
    assert judge([*RIGHT[:3], entry(4, "iu", "lost power"), *again]) == []


def without(*ats: int) -> list[Entry]:
    return [e for e in RIGHT if e.at_ns not in ats]


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (without(1), "start at iu at (1, 1) without a grant"),
        (without(7), "without a grant"),
        (without(6), "two copies"),
        (without(5, 6), "two copies"),
        ([*RIGHT[:5], entry(6, "iu", "release")], "released by iu at (1, 1) while it was there"),
        ([*RIGHT[:6], entry(7, "iu", "release"), entry(8, "iu", "grant"), entry(9, "iu", "open")], "it had given up"),
        ([*RIGHT[:2], entry(3, "iu", "lost power"), entry(4, "iu", "open")], "open at iu at (1, 1) without a grant"),
        ([*RIGHT, entry(10, "iu", "grant", E1)], "granted to iu at (1, 1) after (1, 2) at tacc"),
        ([*RIGHT, entry(10, "iu", "grant", E2)], "granted to iu at (1, 2) after (1, 2) at tacc"),
    ],
)
def test_a_planted_violation_is_found(history: list[Entry], words: str) -> None:
    assert any(words in violation for violation in judge(history))
