"""Checks that need to know the sites: unknown names, and classes that no waiting will ever fit."""

from __future__ import annotations

from federation.model.files.check import check_against
from tests.support.classrooms import classroom

CORE, GIB = 1000, 1 << 30
BOTH = {"iu": (30 * CORE, 60 * GIB), "tacc": (30 * CORE, 60 * GIB)}


def test_what_is_known_and_fits_is_not_mentioned() -> None:
    assert check_against(classroom(), BOTH) == ()


def test_without_knowledge_of_sites_nothing_is_refused() -> None:
    assert check_against(classroom(placement={"allow": ["mars"]}), None) == ()


def test_an_unknown_site_is_named_with_the_nearest_known_one() -> None:
    placed = classroom(placement={"allow": ["iu", "tac"], "prefer": "iu", "standby": "tac"})

    found = check_against(placed, BOTH)

    assert [finding.path for finding in found] == ["spec.placement.allow[1]", "spec.placement.standby"]
    assert found[0].wrong == "unknown site tac; did you mean tacc?"
    assert found[0].allowed == "one of iu, tacc"


def test_before_any_site_has_joined_every_named_site_is_unknown() -> None:
    assert {finding.allowed for finding in check_against(classroom(), {})} == {"none: no site has joined yet"}


def test_more_seats_than_all_sites_together_have_is_refused_with_the_numbers() -> None:
    (finding,) = check_against(classroom(roster={"expected": 61, "admins": ["ann"]}), BOTH)

    assert finding.path == "spec.roster.expected"
    assert finding.wrong == (
        "61 seats of 1 cores and 1G need 61 cores and 61G; all allowed sites together have 60 cores and 120G"
    )
    assert finding.allowed == "at most 60 seats of this size"


def test_only_allowed_sites_count() -> None:
    roster, only_iu = {"expected": 31, "admins": ["ann"]}, {"allow": ["iu"]}

    assert check_against(classroom(roster=roster), BOTH) == ()
    assert len(check_against(classroom(roster=roster, placement=only_iu), BOTH)) == 1


def test_sidecars_count_in_the_size_of_a_seat() -> None:
    sidecar = {"name": "idv", "image": "idv:1", "cpu": {"guarantee": 6, "limit": 6}}
    image = {"name": "quay.example/atm", "tag": "1", "sidecars": [sidecar]}

    (finding,) = check_against(classroom(image=image), BOTH)

    assert finding.wrong.startswith("10 seats of 7 cores and 2G need 70 cores and 20G")


def test_a_site_that_has_not_said_what_it_holds_refuses_nothing() -> None:
    big = classroom(roster={"expected": 1000, "admins": ["ann"]})

    assert check_against(big, BOTH | {"tacc": (0, 0)}) == ()
