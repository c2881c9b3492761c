"""What the agent does about one hub: the whole table."""

from itertools import product

import pytest

from federation.core.holding import Held
from federation.core.site_hub import Act, WantedHub, decide
from federation.model.identity import Epoch

E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)
RUN = WantedHub(E1, running=True)


def act(**situation: object) -> Act:
    defaults: dict[str, object] = {
        "wanted": None,
        "held": None,
        "ended": None,
        "processes": 0,
        "has_homes": False,
        "now_ns": 0,
    }
    return decide(**{**defaults, **situation}).act  # type: ignore[arg-type]


def test_a_granted_and_wanted_hub_is_started_and_mended() -> None:
    assert act(wanted=RUN, held=Held(E1)) is Act.START
    assert act(wanted=RUN, held=Held(E1), processes=3) is Act.START


def test_a_directive_without_a_grant_starts_nothing() -> None:
    assert act(wanted=RUN) is Act.LEAVE


def test_a_directive_of_another_epoch_starts_nothing() -> None:
    assert act(wanted=WantedHub(E2, running=True), held=Held(E1)) is Act.LEAVE


def test_a_directive_to_stop_counts_only_at_the_epoch_that_is_held() -> None:
    assert act(wanted=WantedHub(E2, running=False), held=Held(E1), processes=3) is Act.LEAVE
    assert act(wanted=WantedHub(E1, running=False), held=Held(E2), processes=3) is Act.LEAVE
    assert act(wanted=WantedHub(E1, running=False), held=Held(E1), processes=3) is Act.STOP


def test_a_hub_is_given_up_only_stopped_held_and_when_nothing_could_be_missing_from_its_last_copy() -> None:
    told = WantedHub(E1, running=False, release=True)
    assert act(wanted=told, held=Held(E1)) is Act.RELEASE
    assert act(wanted=told, held=Held(E1), processes=1) is Act.STOP
    assert act(wanted=WantedHub(E1, running=False, release=True, unsaved="it ran again"), held=Held(E1)) is Act.LEAVE
    assert act(wanted=told, held=Held(E2)) is Act.LEAVE
    assert act(wanted=told) is Act.LEAVE
    assert act(wanted=WantedHub(E1, running=False), held=Held(E1)) is Act.LEAVE


def test_what_runs_of_an_earlier_ownership_is_stopped_before_its_homes_are_replaced() -> None:
    told = WantedHub(E1, running=True, replaced=True)
    assert act(wanted=told, held=Held(E1), processes=3) is Act.STOP
    assert act(wanted=told, held=Held(E1)) is Act.START


def test_a_hub_that_nobody_mentions_runs_on() -> None:
    assert act(processes=3) is Act.LEAVE


def test_evidence_of_the_end_stops_it() -> None:
    assert act(ended=E2, processes=3) is Act.STOP


def test_homes_go_only_after_the_stop_and_only_when_the_directive_of_that_end_says_so() -> None:
    told = WantedHub(E2, running=False, delete_homes=True)
    assert act(wanted=told, ended=E2, processes=1, has_homes=True) is Act.STOP
    assert act(wanted=told, ended=E2, has_homes=True) is Act.DELETE_HOMES
    assert act(wanted=told, ended=Epoch(era=1, n=3), has_homes=True) is Act.LEAVE
    assert act(wanted=WantedHub(E2, running=False), ended=E2, has_homes=True) is Act.LEAVE


@pytest.mark.parametrize("processes", [0, 3])
def test_in_no_situation_is_anything_started_without_a_grant(processes: int) -> None:
    directives = (None, RUN, WantedHub(E2, running=True), WantedHub(E1, running=False, delete_homes=True))
    for wanted, ended, homes in product(directives, (None, E1, E2), (False, True)):
        assert act(wanted=wanted, ended=ended, processes=processes, has_homes=homes) is not Act.START


def test_a_hub_whose_time_is_over_is_stopped_and_not_started_again() -> None:
    over = Held(E1, close_at_ns=5, stop_by_ns=9)
    assert act(wanted=RUN, held=over, processes=3, now_ns=4) is Act.START
    assert act(wanted=RUN, held=over, processes=3, now_ns=5) is Act.STOP
    assert act(wanted=RUN, held=over, now_ns=5) is Act.LEAVE
