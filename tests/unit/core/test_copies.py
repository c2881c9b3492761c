"""When homes are copied next, and how old a copy may be to move the class by it."""

from dataclasses import replace

from federation.core.copies import AFTER_USE_S, CopyFacts, due_in, rest_s, stale_after, urgency_of

WORKING = CopyFacts(every_s=900, age_s=600, used=True, used_since_copy=True, idle_s=None)


def test_without_a_copy_one_is_made_at_once() -> None:
    assert due_in(replace(WORKING, age_s=None)) <= 0


def test_a_class_that_works_is_copied_at_its_own_pace() -> None:
    assert due_in(WORKING) == 300
    assert due_in(replace(WORKING, age_s=901)) < 0


def test_soon_after_the_last_server_stopped_what_it_saved_is_copied() -> None:
    ended = replace(WORKING, age_s=10, used=False, idle_s=1)
    assert due_in(ended) == AFTER_USE_S - 1
    assert due_in(replace(ended, used_since_copy=False)) > 900, "and then not again and again"


def test_a_class_that_nobody_uses_is_copied_seldom_and_its_copy_protects_for_long() -> None:
    quiet = replace(WORKING, used=False, used_since_copy=False)
    assert due_in(quiet) == 4 * 900 - 600
    assert stale_after(900, used_since_copy=False) > 4 * 900 > stale_after(900, used_since_copy=True) > 900


def test_where_a_site_makes_few_copies_at_a_time_the_most_overdue_comes_first() -> None:
    assert urgency_of(replace(WORKING, age_s=1800)) < urgency_of(WORKING)


def test_a_site_that_refuses_is_asked_ever_more_seldom_and_never_so_seldom_that_a_copy_is_stale_for_that() -> None:
    rests = [rest_s(misses, 900) for misses in range(1, 100)]
    assert rests[0] < 5
    assert rests == sorted(rests)
    assert rests[-1] == 300
    assert all(rest_s(misses, 60) <= 30 for misses in range(1, 100))
