"""What is said of a handshake: words that do not change while it holds, and a warning in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from federation.core.tls_name import Handshake, Trouble, problem_of, warning_of

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
WELL = Handshake("192.0.2.10:443", "atm101.hubs.example.edu", ends=NOW + timedelta(days=60))


@pytest.mark.parametrize(
    ("left", "warned"),
    [
        (timedelta(days=60), False),
        (timedelta(days=14, seconds=1), False),
        (timedelta(days=14), True),
        (timedelta(), True),
    ],
)
def test_a_certificate_is_spoken_of_from_two_weeks_before_its_end(left: timedelta, warned: bool) -> None:
    seen = replace(WELL, ends=NOW + left)
    assert problem_of(seen) == ""
    assert bool(warning_of(seen, NOW)) is warned
    if warned:
        assert warning_of(seen, NOW) == warning_of(seen, NOW + timedelta(days=1)), "it is written on change"


@pytest.mark.parametrize("trouble", list(Trouble))
@pytest.mark.parametrize("known", [True, False])
def test_each_trouble_names_itself_the_edge_the_class_and_what_to_do(trouble: Trouble, known: bool) -> None:
    seen = replace(WELL, trouble=trouble, starts=NOW if known else None, ends=NOW if known else None)
    said = problem_of(seen)
    assert said.startswith(f"tls name: {trouble.value}: ")
    assert seen.address in said
    assert seen.host in said
    assert warning_of(seen, NOW) == "", "a miss says it already"


def test_what_cannot_be_read_is_not_made_up() -> None:
    assert "is for another name, not for" in problem_of(replace(WELL, trouble=Trouble.WRONG_NAME))
    assert warning_of(replace(WELL, ends=None), NOW) == ""
