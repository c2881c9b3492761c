"""Which hubs a rule moves: the whole table."""

import pytest

from federation.core.relocation import (
    AFTER_BACK_S,
    AGAIN_S,
    AHEAD_S,
    HubThere,
    Policy,
    Relocate,
    Stay,
    no_more,
    relocate,
)
from federation.model.classroom_running import Movable


def there(**more: object) -> HubThere:
    fields: dict[str, object] = {
        "site": "tacc",
        "drained": "",
        "home": "iu",
        "home_well_s": 1000.0,
        "movable": Movable.BETWEEN_SESSIONS,
        "servers": 0,
        "meets_within_s": None,
    }
    return HubThere(**{**fields, **more})  # type: ignore[arg-type]


BACK = Policy(failback_s=600.0)


def test_a_hub_that_was_taken_over_goes_home_when_that_was_well_for_long_enough() -> None:
    assert relocate(there(), BACK) == Relocate("iu", "back to iu, which has been well for 17 min")
    assert relocate(there(home_well_s=599.0), BACK) == Stay("back to iu if that stays well for 0 min more")
    assert relocate(there(home_well_s=None), BACK) == Stay("back to iu when that is well")


def test_without_a_policy_without_a_home_or_at_home_nothing_moves() -> None:
    assert relocate(there(), Policy()) == Stay()
    assert relocate(there(home=None), BACK) == Stay()
    assert relocate(there(home="tacc"), BACK) == Stay()


def test_a_drained_site_is_emptied_to_the_standby_whatever_the_policy() -> None:
    assert relocate(there(drained="new switches"), Policy()) == Relocate("", "tacc is drained: new switches")


@pytest.mark.parametrize("drained", ["", "new switches"])
@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({"busy": True}, "another operation"),
        ({"given_up_s": AGAIN_S - 1}, "a move was given up 30 min ago"),
        ({"taken_back_s": AFTER_BACK_S - 1}, "taken back 360 min ago; the next move is tried after 6 hours"),
        ({"movable": Movable.NEVER}, "movable is never"),
        ({"meets_within_s": 0.0}, "meets now or soon"),
        ({"meets_within_s": AHEAD_S}, "meets now or soon"),
        ({"movable": Movable.IDLE, "servers": 2}, "2 students' servers run"),
    ],
)
def test_no_rule_moves_a_class_that_meets_soon_or_that_its_file_holds_fast(
    situation: dict[str, object], said: str, drained: str
) -> None:
    decision = relocate(there(drained=drained, **situation), BACK)
    assert isinstance(decision, Stay)
    assert said in decision.reason


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({}, ""),  # home calls
        ({"home": None, "drained": "new switches"}, ""),
        ({"home": None}, "nothing asks for it any more"),  # the drain was taken back
        ({"busy": True, "given_up_s": 0.0, "taken_back_s": 0.0}, ""),  # that is the move itself
        ({"servers": 3}, ""),  # they are waited for
        ({"movable": Movable.IDLE, "servers": 1}, "1 students' servers run, and placement.movable is idle"),
        ({"meets_within_s": AHEAD_S}, "it meets now or soon"),
        ({"movable": Movable.NEVER}, "placement.movable is never: only `fedctl move --now` moves it"),
    ],
)
def test_before_it_stops_the_class_a_rule_is_asked_once_more(situation: dict[str, object], said: str) -> None:
    assert no_more(there(**situation), "iu") == said


def test_half_an_hour_after_a_move_was_given_up_the_next_one_is_tried() -> None:
    assert isinstance(relocate(there(drained="new switches", given_up_s=AGAIN_S), BACK), Relocate)


def test_six_hours_after_it_was_taken_back_the_next_one_is_tried() -> None:
    assert isinstance(relocate(there(drained="new switches", taken_back_s=AFTER_BACK_S), BACK), Relocate)


def test_between_sessions_students_at_work_are_no_obstacle_for_they_are_waited_for() -> None:
    assert isinstance(relocate(there(servers=3, meets_within_s=AHEAD_S + 1), BACK), Relocate)
