"""From how many places a class is seen: what is said is what was seen, by whom, and about the owner of now."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from federation.core.reachable import ENDS_SOON, outside, reachable, servers_start, word
from federation.model.outlook import Outlook, Trial
from federation.model.status import Truth

PLACES = ("tacc", "witness")


def outlook(place: str, problem: str = "", site: str = "iu", coordinator: str = "c2") -> Outlook:
    return Outlook(coordinator=coordinator, place=place, hub="atm101-abc123", site=site, problem=problem)


def test_nobody_looks_at_a_class_from_its_own_site_or_from_no_known_place() -> None:
    assert outside(("iu", "tacc", "witness", ""), "iu") == PLACES
    assert reachable(outside(("iu", ""), "iu"), "iu", []) is None


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ([], Truth.UNKNOWN, "nobody at tacc or witness has looked yet"),
        ([outlook("tacc"), outlook("witness")], Truth.TRUE, "seen from tacc and witness"),
        ([outlook("tacc")], Truth.TRUE, "seen from tacc; witness does not say"),
        (
            [outlook("tacc"), outlook("witness", "no route")],
            Truth.FALSE,
            "seen from 1 of 2 places; not from witness: no route",
        ),
        (
            [outlook("tacc", "answered 502"), outlook("witness", "no route")],
            Truth.FALSE,
            "seen from 0 of 2 places; not from tacc: answered 502; witness: no route",
        ),
        ([outlook("tacc", "", "mars"), outlook("iu")], Truth.UNKNOWN, "nobody at tacc or witness has looked yet"),
        (
            [outlook("tacc", "no route"), outlook("tacc", "", "iu", "c4"), outlook("witness")],
            Truth.TRUE,
            "seen from tacc and witness",
        ),
    ],
)
def test_the_condition_says_from_where_and_why_not(said: list[Outlook], status: Truth, message: str) -> None:
    for order in (said, said[::-1]):
        condition = reachable(PLACES, "iu", order)
        assert condition is not None
        assert (condition.status, condition.message) == (status, message)


def test_a_certificate_that_ends_soon_is_said_once_while_the_class_is_seen_and_a_miss_comes_first() -> None:
    ends = "the certificate of a at b ends on 2026-12-01: renew it before"
    said = [outlook("tacc").revise(warning=ends), outlook("witness").revise(warning=ends)]
    condition = reachable(PLACES, "iu", said)
    assert condition is not None
    assert (condition.status, condition.reason) == (Truth.TRUE, ENDS_SOON)
    assert condition.message == f"seen from tacc and witness; {ends}"
    missed = reachable(PLACES, "iu", [said[0], outlook("witness", "no route")])
    assert missed is not None
    assert missed.reason == "NotSeen"


def test_test_servers_are_spoken_of_with_the_time_of_the_last_and_those_of_another_owner_are_not() -> None:
    def trial(place: str, problem: str = "", hour: int = 12, site: str = "iu") -> Trial:
        at = datetime(2026, 9, 1, hour, 5, tzinfo=UTC)
        return Trial(coordinator=f"c-{place}", place=place, hub="atm101-abc123", site=site, problem=problem, at=at)

    assert servers_start(PLACES, "iu", [trial("tacc", site="mars"), trial("iu")]) is None
    started = servers_start(PLACES, "iu", [trial("tacc"), trial("witness", hour=13)])
    failed = servers_start(PLACES, "iu", [trial("tacc"), trial("witness", "it did not answer")])
    assert started is not None
    assert failed is not None
    assert (started.status, failed.status) == (Truth.TRUE, Truth.FALSE)
    assert started.message == "a test server started, asked for from tacc and witness, as of 2026-09-01 13:05 UTC"
    assert "from witness: it did not answer, as of 2026-09-01 12:05 UTC" in failed.message


@pytest.mark.parametrize(
    ("known", "problem", "failures", "says"),
    [
        (None, "", 0, ""),
        (None, "no route", 1, None),
        (None, "no route", 2, "no route"),
        ("", "no route", 1, ""),
        ("", "no route", 2, "no route"),
        ("no route", "", 0, ""),
        ("no route", "answered 502", 3, "answered 502"),
    ],
)
def test_one_look_that_fails_is_not_said(known: str | None, problem: str, failures: int, says: str | None) -> None:
    assert word(known, problem, failures) == says
