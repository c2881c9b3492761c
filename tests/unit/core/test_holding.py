"""What a site may run: only a grant opens, only positive evidence closes (I1, I2, I7)."""

from dataclasses import replace
from typing import Any

import pytest

from federation.core.holding import Answer, Granted, Held, Known, Terms, judge
from federation.model.identity import Epoch, RegisterId
from federation.model.ownership import Mode

REGISTER = RegisterId(uuid="r1", era=1)
E1, E2, E3 = (Epoch(era=1, n=n) for n in (1, 2, 3))
KNOWN = Known(register=REGISTER, revision=10)
SECOND = 1_000_000_000
TERMS = Terms(contact_ns=5 * SECOND, fence_ns=4 * SECOND)


def answer(
    seq: int = 1, *, grants: dict[str, Epoch] | None = None, revoked: dict[str, Epoch] | None = None, **more: Any
) -> Answer:
    fields: dict[str, Any] = {"register": REGISTER, "revision": 11, "granted": True, **more}
    held = {hub: Granted(epoch) for hub, epoch in (grants or {}).items()}
    return Answer(seq=seq, grants=held, revoked=revoked or {}, **fields)


def test_a_grant_permits_its_hub_at_its_epoch() -> None:
    assert judge(answer(grants={"h1": E1}), 0, {}, KNOWN, TERMS).held == {"h1": Held(E1)}


def test_a_hub_that_an_answer_does_not_mention_is_kept() -> None:
    assert judge(answer(), 0, {"h1": Held(E1)}, KNOWN, TERMS).held == {"h1": Held(E1)}


def test_unknown_is_reported_and_stops_nothing() -> None:
    holding = judge(answer(unknown=("h1",)), 0, {"h1": Held(E1)}, KNOWN, TERMS)
    assert holding.held == {"h1": Held(E1)}
    assert "register knows nothing" in holding.problems[0]


def test_a_higher_epoch_elsewhere_ends_the_permission() -> None:
    holding = judge(answer(revoked={"h1": E2}), 0, {"h1": Held(E1)}, KNOWN, TERMS)
    assert holding.held == {}
    assert holding.ended == {"h1": E2}


def test_a_revocation_that_is_not_newer_than_what_is_held_ends_nothing() -> None:
    assert judge(answer(revoked={"h1": E2}), 0, {"h1": Held(E2)}, KNOWN, TERMS).held == {"h1": Held(E2)}


def test_answers_count_in_rising_order_only() -> None:
    late = judge(answer(seq=4, revoked={"h1": E3}), 5, {"h1": Held(E1)}, KNOWN, TERMS)
    assert late.held == {"h1": Held(E1)}
    assert not late.heard


@pytest.mark.parametrize(
    "fault",
    [
        {"register": RegisterId(uuid="other", era=1)},
        {"register": RegisterId(uuid="r1", era=0)},
        {"revision": 9},
    ],
)
def test_an_answer_of_another_or_older_register_neither_opens_nor_closes(fault: dict[str, Any]) -> None:
    holding = judge(answer(grants={"h2": E1}, revoked={"h1": E2}, **fault), 0, {"h1": Held(E1)}, KNOWN, TERMS)
    assert holding.held == {"h1": Held(E1)}
    assert not holding.heard


def test_a_recovered_register_is_believed_with_a_lower_revision() -> None:
    """Its epochs are above all of the era before, so that it can end and permit what it does not know."""
    recovered = RegisterId(uuid="r1", era=2)
    first = Epoch(era=2, n=1)
    holding = judge(answer(register=recovered, revision=3, grants={"h1": first}), 0, {"h1": Held(E3)}, KNOWN, TERMS)
    assert holding.held == {"h1": Held(first)}
    assert holding.problems == ()


def test_while_a_recovery_decides_nothing_is_granted_and_nothing_ends() -> None:
    recovered = RegisterId(uuid="r1", era=2)
    said = answer(register=recovered, granted=False, recovering=True, grants={"h2": E1}, revoked={"h1": E3})
    holding = judge(said, 0, {"h1": Held(E1)}, KNOWN, TERMS)
    assert holding.held == {"h1": Held(E1)}
    assert holding.heard, "what was asked for is a report, and it is on its way"


def test_a_deaf_site_is_granted_nothing_and_closes_nothing() -> None:
    holding = judge(answer(grants={"h2": E1}, granted=False), 0, {"h1": Held(E1)}, KNOWN, TERMS)
    assert holding.held == {"h1": Held(E1)}


@pytest.mark.parametrize(
    "known",
    [
        Known(REGISTER, 10, floor={"h1": E2}),
        Known(REGISTER, 10, released={"h1": E1}),
        Known(REGISTER, 10, ended={"h1": E2}),
    ],
)
def test_an_epoch_below_the_floor_released_or_ended_is_never_opened_again(known: Known) -> None:
    holding = judge(answer(grants={"h1": E1}), 0, {}, known, TERMS)
    assert holding.held == {}
    assert holding.problems


def test_a_newer_epoch_may_open_again_after_an_end() -> None:
    holding = judge(answer(grants={"h1": E3}), 0, {}, Known(REGISTER, 10, ended={"h1": E2}), TERMS)
    assert holding.held == {"h1": Held(E3)}
    assert holding.ended == {}


ARMED = Mode.ARMED


def armed(seq: int, sent_s: int, epoch: Epoch = E1) -> Answer:
    grants = {"h1": Granted(epoch, ARMED)}
    return Answer(REGISTER, 11, seq, granted=True, grants=grants, revoked={}, sent_ns=sent_s * SECOND)


def test_an_armed_grant_counts_from_the_send_of_the_renewal() -> None:
    held = judge(armed(1, sent_s=100), 0, {}, KNOWN, TERMS).held["h1"]
    assert held == Held(E1, close_at_ns=105 * SECOND, stop_by_ns=109 * SECOND)
    assert not held.lapsed(105 * SECOND - 1)
    assert held.lapsed(105 * SECOND)


def test_an_armed_hub_that_an_answer_does_not_mention_keeps_the_deadline_that_it_had() -> None:
    before = Held(E1, 105 * SECOND, 109 * SECOND)
    assert judge(answer(seq=2), 1, {"h1": before}, KNOWN, TERMS).held == {"h1": before}


def test_without_its_fencer_an_armed_hub_is_not_extended_but_a_standing_one_gets_its_deadline() -> None:
    silent = Terms(5 * SECOND, 4 * SECOND, extend=False)
    before = Held(E1, 105 * SECOND, 109 * SECOND)
    assert judge(armed(2, sent_s=103), 1, {"h1": before}, KNOWN, silent).held == {"h1": before}
    assert judge(armed(2, sent_s=103), 1, {"h1": Held(E1)}, KNOWN, silent).held["h1"].close_at_ns == 108 * SECOND
    assert judge(armed(2, sent_s=103), 1, {}, KNOWN, silent).held == {}


def test_a_standing_grant_takes_the_deadline_away() -> None:
    before = Held(E1, 105 * SECOND, 109 * SECOND)
    assert judge(answer(seq=2, grants={"h1": E1}), 1, {"h1": before}, KNOWN, TERMS).held == {"h1": Held(E1)}


def test_after_the_journal_was_lost_nothing_new_is_opened() -> None:
    forgot = Terms(5 * SECOND, 4 * SECOND, open_new=False)
    assert judge(answer(grants={"h1": E1}), 0, {}, KNOWN, forgot).held == {}
    assert judge(answer(grants={"h1": E1}), 0, {"h1": Held(E1)}, KNOWN, forgot).held == {"h1": Held(E1)}


def test_a_hub_that_is_promised_to_a_peer_is_accepted_and_not_opened() -> None:
    terms = replace(TERMS, promised={"h1": "promised iu"})
    known = replace(KNOWN, ended={"h1": E1})
    holding = judge(answer(grants={"h1": E2}), 0, {}, known, terms)
    assert (holding.held, holding.accepted, holding.problems) == ({}, {"h1": E2}, ("promised iu",))
    later = judge(answer(grants={"h1": E2}), 0, {}, replace(known, accepted={"h1": E2}), TERMS)
    assert later.held == {"h1": Held(E2)}


def test_what_was_accepted_is_given_up_on_evidence_only() -> None:
    known = replace(KNOWN, accepted={"h1": E2})
    assert judge(answer(), 0, {}, known, TERMS).accepted == {"h1": E2}
    assert judge(answer(revoked={"h1": E1}), 0, {}, known, TERMS).accepted == {"h1": E2}
    gone = judge(answer(revoked={"h1": E3}), 0, {}, known, TERMS)
    assert (gone.accepted, gone.ended) == ({}, {"h1": E3})


def test_an_armed_grant_that_cannot_be_taken_up_is_accepted_all_the_same() -> None:
    """A peer that asks must hear no: the register has said whose the hub is."""
    armed = Answer(REGISTER, 11, 1, granted=True, grants={"h1": Granted(E1, Mode.ARMED)}, revoked={})
    holding = judge(armed, 0, {}, KNOWN, replace(TERMS, extend=False))
    assert (holding.held, holding.accepted) == ({}, {"h1": E1})


def test_an_answer_that_comes_late_does_not_shorten_what_peers_have_promised_since() -> None:
    extended = Held(E1, 20 * SECOND, 24 * SECOND)
    late = Answer(REGISTER, 11, 1, granted=True, grants={"h1": Granted(E1, Mode.ARMED)}, revoked={}, sent_ns=9 * SECOND)
    assert judge(late, 0, {"h1": extended}, KNOWN, TERMS).held == {"h1": extended}
