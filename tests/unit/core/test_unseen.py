"""What other places see as a reason to move: the whole table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from federation.core.relocation import Relocate, Stay
from federation.core.unseen import Unseen, badly_seen, decide, missed_at_all, missing
from federation.model.outlook import FIRM, Fault, Outlook, Trial


def outlook(place: str, **more: object) -> Outlook:
    fields: dict[str, object] = {
        "coordinator": f"c-{place}",
        "hub": "atm101-abc123",
        "site": "iu",
        "problem": "no route",
        "fault": Fault.PAGE,
        "misses": FIRM,
        "reaches": ("tacc",) if place == "witness" else (),
    }
    return Outlook(place=place, **{**fields, **more})


TACC, WITNESS = outlook("tacc"), outlook("witness")
EXPIRED = outlook("tacc", fault=Fault.TLS, problem="tls name: expired")
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
SEEN = {"problem": "", "fault": Fault.NONE, "misses": 0, "reaches": ()}
GONE = Unseen("iu", (TACC, WITNESS), serves=True, fresh=True, target="tacc")


def test_a_class_that_two_places_miss_while_one_of_them_reaches_the_standby_moves_there() -> None:
    assert decide(GONE) == Relocate("tacc", "not seen from tacc and witness, 3 looks in a row: no route")
    assert decide(replace(GONE, moved_s=3600.0)) == decide(GONE)


@pytest.mark.parametrize(
    "outlooks",
    [
        (),
        (WITNESS,),
        (WITNESS, outlook("tacc", **SEEN)),
        (WITNESS, outlook("tacc", misses=FIRM - 1)),
        (WITNESS, TACC, outlook("mars", **SEEN)),
        (WITNESS, TACC, outlook("tacc", coordinator="c9", misses=1)),
        (WITNESS, outlook("iu")),
        (WITNESS, outlook("witness", coordinator="c9")),
        (WITNESS, outlook("tacc", site="tacc")),
    ],
)
def test_what_is_seen_from_somewhere_or_missed_from_one_place_or_not_for_sure_stays_without_a_word(
    outlooks: tuple[Outlook, ...],
) -> None:
    assert decide(replace(GONE, outlooks=outlooks)) == Stay()


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({"outlooks": (outlook("tacc", fault=Fault.NAME), WITNESS)}, "it is the name that fails"),
        ({"fresh": False}, "a matter of takeover"),
        ({"serves": False}, "iu does not say that it serves"),
        ({"also_bad": ("tacc",)}, "tacc look bad, too: more than one site"),
        ({"frozen": "automatic moves are paused: x"}, "paused: x"),
        ({"fixed": True}, "movable is never"),
        ({"busy": True}, "another operation"),
        ({"moved_s": 3599.0}, "within the last hour"),
        ({"target": "", "refused": "no site can take it (tacc: is full)"}, "tacc: is full"),
        ({"outlooks": (TACC, outlook("witness", reaches=()))}, "nobody who misses it reaches tacc"),
        ({"outlooks": (EXPIRED, outlook("witness", reaches=()))}, "finds a certificate at tacc that holds"),
        ({"outlooks": (outlook("tacc", reaches=("tacc",)), outlook("witness", reaches=()))}, "reaches tacc"),
    ],
)
def test_it_stays_with_a_reason_that_does_not_change_while_it_holds(situation: dict[str, object], said: str) -> None:
    decision = decide(replace(GONE, **situation))  # type: ignore[arg-type]
    assert isinstance(decision, Stay)
    assert said in decision.reason


def test_a_certificate_that_holds_at_the_standby_and_not_here_moves_the_class() -> None:
    missed = (EXPIRED, outlook("witness", fault=Fault.TLS, problem="tls name: expired"))
    decision = decide(replace(GONE, outlooks=missed))
    assert decision == Relocate("tacc", "not seen from tacc and witness, 3 looks in a row: tls name: expired")


def test_a_certificate_of_one_class_holds_up_no_other_site() -> None:
    about = {"hub": "met202-xyz789", "site": "tacc", "fault": Fault.TLS}
    others = [outlook(place, **about) for place in ("iu", "witness")]
    assert badly_seen([TACC, WITNESS, *others]) == {"iu"}
    assert badly_seen([*others, outlook("mars", **{**about, "fault": Fault.PAGE})]) == {"tacc"}


def trial(place: str, **more: object) -> Trial:
    fields = {"problem": "it did not answer", "fault": Fault.SERVER, "at": NOON, "passed": 4, **more}
    return Trial(**outlook(place).model_dump() | fields)


UNSTARTED = Unseen(
    "iu", (), serves=True, fresh=True, target="tacc", trials=(trial("tacc"), trial("witness")), generation=4
)


def test_a_class_whose_servers_started_there_and_do_not_any_more_moves_and_those_who_work_are_waited_for() -> None:
    reason = "test servers asked for from tacc and witness did not start, 3 in a row: it did not answer"
    assert decide(UNSTARTED) == Relocate("tacc", reason, patient=True)
    assert missed_at_all(UNSTARTED, patient=True)
    assert not missed_at_all(UNSTARTED, patient=False), "a move that waits for nobody is about the page"
    seen = replace(UNSTARTED, trials=(trial("tacc"), trial("witness", problem="", misses=0)))
    assert decide(seen) == Stay()
    assert not missed_at_all(seen, patient=True)
    assert decide(replace(UNSTARTED, trials=(trial("tacc"),))) == Stay(), "one place alone"
    assert decide(replace(UNSTARTED, trials=(trial("tacc"), trial("witness", misses=2)))) == Stay()


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({"generation": 5}, "none has started there at generation 5"),
        ({"also_failing": ("tacc",)}, "test servers fail at tacc, too"),
        ({"meets_within_s": 0.0}, "it meets now or soon"),
        ({"fresh": False}, "a matter of takeover"),
        ({"frozen": "automatic moves are paused: x"}, "paused: x"),
        ({"moved_s": 10.0}, "within the last hour"),
        ({"trials": (trial("tacc"), trial("witness", reaches=()))}, "nobody who misses it reaches tacc"),
        ({"busy": True}, "another operation"),
        ({"fixed": True}, "movable is never"),
    ],
)
def test_it_stays_where_a_move_might_not_help_or_would_disturb(situation: dict[str, object], said: str) -> None:
    decision = decide(replace(UNSTARTED, **situation))  # type: ignore[arg-type]
    assert isinstance(decision, Stay)
    assert said in decision.reason


def test_what_was_found_long_ago_orders_nothing_and_gives_up_what_waits() -> None:
    later = replace(UNSTARTED, since=NOON + timedelta(seconds=1))
    assert decide(later) == Stay()
    assert not missed_at_all(later, patient=True)
    assert isinstance(decide(replace(UNSTARTED, since=NOON)), Relocate)


def test_behind_a_certificate_that_has_ended_those_who_work_on_are_waited_for() -> None:
    ended = tuple(one.revise(fault=Fault.TLS) for one in (TACC, WITNESS))
    for working, patient in ((0, False), (3, True)):
        decision = decide(replace(GONE, outlooks=ended, working=working))
        assert isinstance(decision, Relocate)
        assert decision.patient is patient
    unseen = decide(replace(GONE, working=3))
    assert isinstance(unseen, Relocate)
    assert not unseen.patient, "nobody sees the page"


def test_a_page_that_is_missed_comes_before_servers_that_do_not_start() -> None:
    assert decide(replace(UNSTARTED, outlooks=(TACC, WITNESS))) == decide(GONE)


def test_a_site_looks_bad_when_one_of_its_classes_is_missed_for_sure() -> None:
    others = [outlook(place, hub="met202-xyz789", site="tacc") for place in ("iu", "witness")]
    assert badly_seen([TACC, WITNESS, *others]) == {"iu", "tacc"}
    assert badly_seen([TACC]) == frozenset()
    assert len(missing("iu", (TACC, WITNESS))) == 2
