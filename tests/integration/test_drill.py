"""`fedctl drill`, as a process against a real server: steps shown, numbers kept, refusals with what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from federation.model.errors import ExitCode
from tests.support.control_server import Served, served
from tests.support.federation import until


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("drill")
    with served(folder) as serving:
        serving.ok("place", serving.classroom("rho"))
        until(lambda: serving.condition("rho", "DataFresh") == "True", "its homes were copied")
        yield serving


def test_a_class_that_is_not_armed_is_refused_and_with_anyway_it_is_rehearsed_and_shown(here: Served) -> None:
    refused = here.fedctl("drill", "rho")
    assert refused.code == ExitCode.REFUSED
    assert "rho is not armed" in refused.err
    assert "--anyway" in refused.err
    answer = here.ok("drill", "rho", "--anyway")
    for way in ("to tacc", "to iu"):
        for step in ("stopped", "copied", "owned", "named", "done"):
            assert f"  {way}  {step}" in answer.err
    head, line = answer.out.splitlines()
    assert head.split() == ["CLASS", "WHEN", "FROM", "TO", "OUTCOME", "RTO", "RPO", "AWAY", "WHY"]
    assert " iu " in line
    assert " passed " in line
    assert "not armed: " in line
    documents = here.document("drill")["items"]
    costs = next(document["costs"] for document in documents if document["outcome"] == "passed")
    assert costs["rto_s"] == pytest.approx(costs["lease_s"] + costs["serve_s"])
    assert "passed, began" in here.ok("describe", "rho").out
    rehearsed = next(item for item in readiness(here) if item["what"] == "rehearsed")
    assert rehearsed["state"] == "ok"
    assert "an outage would have cost" in rehearsed["why"]


def readiness(here: Served) -> list[dict[str, str]]:
    items: list[dict[str, str]] = json.loads(here.fedctl("doctor", "rho", "-o", "json").out)["items"]
    return items


def test_an_order_for_later_is_shown_and_taken_back(here: Served) -> None:
    assert "a drill is ordered for" in here.ok("drill", "rho", "--anyway", "--at", in_two_days()).err
    assert "ordered, for" in here.ok("describe", "rho").out
    again = here.fedctl("drill", "rho", "--anyway")
    assert again.code == ExitCode.REFUSED
    assert "a drill is ordered for" in again.err
    assert "is cancelled" in here.ok("drill", "rho", "--cancel").out
    assert here.ok("drill", "rho", "--cancel").out == "rho: no drill is ordered or under way\n"
    assert "cancelled" in here.ok("drill").out


def in_two_days() -> str:
    return (datetime.now(UTC) + timedelta(days=2)).isoformat(timespec="seconds")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("drill", "nobody"), ExitCode.NOT_FOUND, "no classroom is named nobody"),
        (("drill", "--cancel"), ExitCode.BAD_INPUT, "which class?"),
        (("drill", "rho", "--cancel", "--now"), ExitCode.BAD_INPUT, "--cancel goes with no other option"),
        (("drill", "rho", "--at", "noon"), ExitCode.BAD_INPUT, "is no time"),
        (("drill", "rho", "--at", "2020-01-01T00:00"), ExitCode.BAD_INPUT, "is over"),
    ],
)
def test_what_means_nothing_is_refused(here: Served, words: tuple[str, ...], code: int, says: str) -> None:
    answer = here.fedctl(*words)
    assert says in answer.err
    assert answer.code == code


def test_a_reader_sees_drills_and_may_not_order_one(here: Served) -> None:
    here.ok("drill", context="vic")
    assert here.fedctl("drill", "rho", "--anyway", context="vic").code != ExitCode.OK
