"""Silence is counted from this leader's own first sight of the newest grant, and from zero after any gap (H2, H11)."""

from federation.core.lease_count import LeaseCounts


def counts() -> LeaseCounts:
    fresh = LeaseCounts(gap_s=1.5)
    fresh.read({"iu": 10, "tacc": 11}, 100.0, 100.1)
    return fresh


def test_it_is_counted_from_the_answer_that_first_showed_the_grant() -> None:
    lease = counts()
    lease.read({"iu": 10, "tacc": 12}, 101.0, 101.1)
    assert lease.silent_s("iu", 101.1) == 101.1 - 100.1
    assert lease.silent_s("tacc", 101.1) == 0.0


def test_after_a_gap_every_count_starts_again() -> None:
    lease = counts()
    assert not lease.read({"iu": 10, "tacc": 12}, 103.0, 103.1)
    assert lease.silent_s("iu", 103.1) == 0.0


def test_a_slow_read_is_a_gap_for_the_next_one() -> None:
    """What it shows was true at some moment after it was asked for: nobody knows which."""
    lease = counts()
    assert lease.read({"iu": 10}, 100.2, 101.5)
    assert not lease.read({"iu": 10}, 101.5, 101.8)


def test_what_was_never_seen_is_not_silent() -> None:
    lease = counts()
    assert lease.silent_s("mars", 500.0) == 0.0
    assert lease.sight("mars") is None
    assert LeaseCounts(gap_s=1.5).silent_s("iu", 500.0) == 0.0
