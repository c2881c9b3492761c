"""Readiness for a failover, one item at a time: what is red, and what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.core.reachable import ENDS_SOON
from federation.core.readiness import Facts, SiteSide, Standby, State, judge, ready
from federation.core.spare import Fit, Plan, Wait
from federation.model.status import Condition, ConditionType, Truth

K = ConditionType
FENCED = Condition(type=K.FENCED, status=Truth.TRUE, reason="Proven", message="proven on a canary")
IU, TACC = SiteSide("iu", "6.1.1", FENCED), SiteSide("tacc", "6.1.3", FENCED)
STANDBY = Standby(TACC, silent="", unknown="", room="needs 4 cores", no_room="", unsealed=(), copies="")
ALL = Plan("iu", (Fit("atm101", "tacc"), Fit("geo", "tacc")))


def well(kind: ConditionType, message: str = "well") -> Condition:
    return Condition(type=kind, status=Truth.TRUE, reason="Well", message=message)


def ill(kind: ConditionType, message: str, status: Truth = Truth.FALSE) -> tuple[Condition, ...]:
    return tuple(
        Condition(type=c.type, status=status, reason="Ill", message=message) if c.type is kind else c
        for c in GOOD.conditions
    )


GOOD = Facts(
    name="atm101",
    owner=IU,
    conditions=tuple(map(well, (K.SERVING, K.PROTECTED, K.NAME_CONVERGED, K.DATA_FRESH))),
    standby=STANDBY,
    refused="",
    plan=ALL,
    witness=True,
    paused="",
    no_failsafe="",
    copy_age_s=340.0,
)


def found(**changes: Any) -> dict[str, tuple[State, str, str]]:
    return {item.what: (item.state, item.why, item.todo) for item in judge(replace(GOOD, **changes))}


def test_with_everything_well_only_the_rehearsal_is_missing() -> None:
    items = judge(GOOD)
    assert ready(items)
    assert [(item.what, item.why) for item in items if item.state is not State.OK] == [("rehearsed", "never rehearsed")]
    assert [item.todo for item in items if item.todo] == ["`fedctl drill atm101`"]


def test_what_is_well_is_said_with_its_facts() -> None:
    items = found()
    assert items["standby"] == (State.OK, "tacc", "")
    assert items["room at tacc"][1] == "needs 4 cores"
    assert items["room without iu"][1] == "2 of 2 classes of iu find room together: atm101 to tacc, geo to tacc"
    assert items["copies"][1] == "6 min old; well"
    assert "snapshot is there and opens" in items["copies at tacc"][1]
    assert items["software"][1] == "JupyterHub 6.1.1 at iu, 6.1.3 at tacc"


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"conditions": ill(K.SERVING, "agent is silent", Truth.UNKNOWN)}, "serving", "agent is silent"),
        ({"conditions": ill(K.PROTECTED, "not armed, because x; y")}, "armed", "not armed, because x; y"),
        ({"conditions": ill(K.NAME_CONVERGED, "leads to tacc")}, "name", "leads to tacc"),
        ({"conditions": ill(K.DATA_FRESH, "older than 32 min")}, "copies", "older than 32 min"),
        ({"unwritable": "the key is refused"}, "name service", "the key is refused"),
        ({"witness": False}, "witness", "the federation has none"),
        ({"paused": "paused: storage work"}, "automatic moves", "storage work"),
        ({"standby": None, "refused": "tacc: needs 9 cores"}, "standby", "tacc: needs 9 cores"),
        ({"standby": replace(STANDBY, silent="it is silent itself")}, "tacc lives", "silent itself"),
        ({"standby": replace(STANDBY, unknown="iu has not acknowledged it")}, "tacc is known", "not acknowledged"),
        ({"standby": replace(STANDBY, no_room="needs 9 cores")}, "room at tacc", "needs 9 cores"),
        (
            {"standby": replace(STANDBY, unsealed=("the secret for sign-in", "the copies of the homes"))},
            "secrets at tacc",
            "the secret for sign-in and the copies of the homes",
        ),
        ({"standby": replace(STANDBY, copies="no such snapshot")}, "copies at tacc", "no such snapshot"),
        (
            {"plan": Plan("iu", (Fit("geo", "tacc"),), (Wait("atm101", "tacc: needs 9 cores"),))},
            "room without iu",
            "1 of 2 classes of iu find room together: geo to tacc; without room: atm101 (tacc: needs 9 cores)",
        ),
        (
            {"standby": replace(STANDBY, side=replace(TACC, hub_version="6.2.0"))},
            "software",
            "6.1.1 at iu, 6.2.0 at tacc",
        ),
        ({"owner": replace(IU, fenced=None)}, "fencer of iu", "no report yet"),
        (
            {"owner": replace(IU, fenced=FENCED.revise(status=Truth.FALSE, message="the fencer is silent"))},
            "fencer of iu",
            "the fencer is silent",
        ),
    ],
)
def test_one_thing_that_is_wrong_is_one_red_item_with_something_to_do(
    changes: dict[str, Any], what: str, words: str
) -> None:
    items = judge(replace(GOOD, **changes))
    (red,) = [item for item in items if item.state is State.RED]
    assert red.what == what
    assert words in red.why
    assert red.todo
    assert not ready(items)


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"no_failsafe": "no address"}, "failsafe", "no address"),
        ({"standby": replace(STANDBY, side=replace(TACC, hub_version=""))}, "software", "tacc has not reported"),
        ({"standby": replace(STANDBY, side=replace(TACC, fenced=None))}, "fencer of tacc", "no report yet"),
        (
            {"plan": Plan("iu", (Fit("atm101", "tacc"),), (Wait("geo", "tacc: full"),))},
            "room without iu",
            "without room: geo (tacc: full)",
        ),
    ],
)
def test_what_does_not_stand_against_a_takeover_is_a_note(changes: dict[str, Any], what: str, words: str) -> None:
    assert ready(judge(replace(GOOD, **changes)))
    state, why, _todo = found(**changes)[what]
    assert state is State.NOTE
    assert words in why


def test_a_class_without_homes_has_no_copies_to_open() -> None:
    assert "copies at tacc" not in found(standby=replace(STANDBY, copies=None))


def test_of_a_class_that_nobody_runs_nothing_is_made_up() -> None:
    items = judge(replace(GOOD, owner=None, conditions=(), standby=None, refused="no other site", copy_age_s=None))
    red = [item.what for item in items if item.state is State.RED]
    assert red == ["serving", "armed", "standby", "copies", "name"]
    assert "no site runs the class" in items[0].why


def test_a_rehearsal_is_said_and_complained_about_when_it_is_old_or_has_failed() -> None:
    day = 86400.0
    passed = {"rehearsed": "at tacc and back", "rehearsed_age_s": 3 * day}
    assert found(**passed)["rehearsed"] == (State.OK, "3 days ago: at tacc and back", "")
    old = found(**{**passed, "rehearsed_age_s": 91 * day})["rehearsed"]
    assert old == (State.NOTE, "91 days ago, more than 90: at tacc and back", "`fedctl drill atm101`")
    failed = found(**passed, not_passed="the last rehearsal has failed: x")["rehearsed"]
    assert (failed[0], failed[1]) == (State.NOTE, "the last rehearsal has failed: x")


def test_servers_that_do_not_start_and_a_certificate_that_ends_soon_are_noted_and_nothing_is_red() -> None:
    ends = Condition(type=K.REACHABLE, status=Truth.TRUE, reason=ENDS_SOON, message="ends on 2026-12-01")
    failed = Condition(type=K.SERVERS_START, status=Truth.FALSE, reason="NotStarted", message="it did not answer")
    items = found(conditions=(*GOOD.conditions, ends, failed))
    assert items["seen from outside"][:2] == (State.NOTE, "ends on 2026-12-01")
    assert items["servers start"][:2] == (State.NOTE, "it did not answer")
    assert "--user hubfed-tester" in items["servers start"][2]
    items = found(conditions=(*GOOD.conditions, well(K.REACHABLE, "seen"), well(K.SERVERS_START, "started")))
    assert items["servers start"] == (State.OK, "started", "")
