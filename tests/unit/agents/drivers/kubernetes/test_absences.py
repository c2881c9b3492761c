"""What is remembered of hubs of which nothing runs."""

from __future__ import annotations

import pytest

from agents.drivers.kubernetes.absences import Absences


def test_what_a_look_found_holds_until_the_hub_is_started() -> None:
    absences = Absences()
    assert absences.as_of("atm101") is None
    absences.found_nothing("atm101", 7, absences.mark("atm101"))
    assert absences.as_of("atm101") == 7
    assert absences.as_of("met202") is None
    with absences.starting("atm101"):
        assert absences.as_of("atm101") is None
    assert absences.as_of("atm101") is None, "what was started may come a moment later"


def test_what_runs_after_all_ends_it() -> None:
    absences = Absences()
    absences.found_nothing("atm101", 7, absences.mark("atm101"))
    absences.found_something("atm101")
    assert absences.as_of("atm101") is None


def test_a_look_that_a_start_overlapped_is_not_remembered() -> None:
    absences = Absences()
    before = absences.mark("atm101")
    with absences.starting("atm101"):
        meanwhile = absences.mark("atm101")
        absences.found_nothing("atm101", 7, before)
        absences.found_nothing("atm101", 7, meanwhile)
        assert absences.as_of("atm101") is None
    absences.found_nothing("atm101", 8, before)
    absences.found_nothing("atm101", 8, meanwhile)
    assert absences.as_of("atm101") is None
    absences.found_nothing("atm101", 9, absences.mark("atm101"))
    assert absences.as_of("atm101") == 9


def test_a_start_that_failed_is_over() -> None:
    absences = Absences()
    with pytest.raises(ConnectionError), absences.starting("atm101"):
        raise ConnectionError
    absences.found_nothing("atm101", 7, absences.mark("atm101"))
    assert absences.as_of("atm101") == 7
