"""Who may ask, who may promise, and what a round allows (PROTOCOL.md H5, H9, H10)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from federation.core.failsafe import (
    Asked,
    Mine,
    Round,
    Said,
    candidates,
    due,
    must_ask,
    objection,
    off,
    outcome,
    peers_of,
)
from federation.core.holding import Held, Known
from federation.model.identity import Epoch, Member
from federation.model.promise import Promise, restarted

E1, E2, E3 = (Epoch(era=1, n=n) for n in (1, 2, 3))
SECOND = 1_000_000_000
IU, TACC, PSC = (Member(site=site, uid=f"uid-{site}", peer_address=f"{site}:1") for site in ("iu", "tacc", "psc"))
LIST = (IU, TACC, PSC)
ASKED = Asked("iu", "uid-iu", "h1", E2)
ROUND = Round(7, 100, {"h1": E2, "h2": E1}, frozenset({("tacc", "uid-tacc"), ("psc", "uid-psc")}))


def mine(known: Known | None = None, held: dict[str, Held] | None = None, **more: object) -> Mine:
    standard = Mine(known or Known(), held or {}, LIST, (), now_ns=1000 * SECOND, fencer_ns=3 * SECOND)
    return replace(standard, **more)  # type: ignore[arg-type]


def promise(epoch: Epoch = E2, site: str = "iu") -> Promise:
    return Promise(boot_id="b1", until_ns=50, hub="h1", epoch=epoch, site=site, uid=f"uid-{site}", nonce=1)


def said(site: str, *promised: str, nonce: int = 7, **higher: Epoch) -> Said:
    return Said((site, f"uid-{site}"), nonce, frozenset(promised), higher)


# --- the answerer ---


def test_who_knows_nothing_of_the_hub_promises() -> None:
    assert objection(ASKED, mine()) is None


def test_who_was_taken_over_by_the_asker_promises_to_it() -> None:
    assert objection(ASKED, mine(Known(floor={"h1": E1}, ended={"h1": E2}))) is None


@pytest.mark.parametrize(
    "known",
    [Known(accepted={"h1": E3}), Known(floor={"h1": E3}), Known(released={"h1": E3}), Known(ended={"h1": E3})],
)
def test_who_knows_a_higher_epoch_says_no_and_names_it(known: Known) -> None:
    no = objection(ASKED, mine(known))
    assert no is not None
    assert no.highest == E3


def test_who_was_told_that_it_owns_the_hub_says_no() -> None:
    assert objection(ASKED, mine(Known(accepted={"h1": E2}))) is not None


def test_who_promised_to_a_newer_owner_says_no_to_the_older_one() -> None:
    no = objection(ASKED, mine(promises=(promise(E3, "psc"),)))
    assert no is not None
    assert no.highest == E3


def test_a_promise_is_given_again() -> None:
    assert objection(ASKED, mine(promises=(promise(),))) is None


def test_who_may_still_serve_an_older_epoch_says_no_until_its_fencer_has_ended_it() -> None:
    held = Held(E1, 990 * SECOND, 998 * SECOND)
    known = Known(accepted={"h1": E1}, floor={"h1": E1})
    assert objection(ASKED, mine(known, {"h1": held})) is not None
    assert objection(ASKED, mine(known, {"h1": held}, now_ns=1001 * SECOND)) is None
    assert objection(ASKED, mine(known, {"h1": Held(E1)}, now_ns=10**15)) is not None, "a standing one never ends"


@pytest.mark.parametrize(
    "stranger", [replace(ASKED, site="new", uid="uid-new"), replace(ASKED, uid="drawn at a second join")]
)
def test_only_members_are_promised_anything(stranger: Asked) -> None:
    assert objection(stranger, mine()) is not None


def test_a_site_without_its_journal_promises_nothing() -> None:
    no = objection(ASKED, mine(unfit="its journal was lost"))
    assert no is not None
    assert no.reason == "its journal was lost"


def test_after_a_reboot_a_promise_counts_in_full() -> None:
    assert restarted(promise(), "b1", 40, 15).until_ns == 50
    again = restarted(promise(), "b2", 3, 15)
    assert (again.boot_id, again.until_ns, again.epoch) == ("b2", 18, E2)


# --- the asker ---


def test_everybody_else_must_answer() -> None:
    assert peers_of(LIST, ("iu", "uid-iu")) == ROUND.peers
    assert peers_of(LIST, ("iu", "another uid")) == frozenset(), "this list is not of this site"


def test_without_addresses_it_is_off_and_says_whose_is_missing() -> None:
    assert off(LIST, ("iu", "uid-iu")) == ""
    assert "tacc" in off((IU, Member(site="tacc", uid="u"), PSC), ("iu", "uid-iu"))
    assert off((IU,), ("iu", "uid-iu")) == "no other site is known"


def test_only_all_yes_of_one_round_extend() -> None:
    both = [said("tacc", "h1", "h2"), said("psc", "h1")]
    assert outcome(ROUND, both).agreed == {"h1": E2}
    assert outcome(ROUND, both[:1]).agreed == {}
    assert outcome(ROUND, both[:1]).missing == {("psc", "uid-psc")}
    assert outcome(ROUND, [both[0], said("psc", "h1", nonce=6)]).agreed == {}, "an old round's yes"
    assert outcome(ROUND, [both[0], replace(both[1], peer=("psc", "other"))]).agreed == {}
    assert outcome(replace(ROUND, peers=frozenset()), []).agreed == {}, "nobody to ask is nobody's yes"


def test_a_higher_epoch_ends_the_asking_even_beside_a_yes() -> None:
    result = outcome(ROUND, [said("tacc", "h1"), said("psc", "h1", h1=E3)])
    assert result.agreed == {}
    assert result.higher == {"h1": E3}


def test_a_no_without_a_higher_epoch_ends_nothing() -> None:
    assert outcome(ROUND, [said("tacc", "h1"), said("psc", h1=E2)]).higher == {}


def test_who_may_ask() -> None:
    granted = Known(accepted={"h1": E2}, floor={"h1": E2})
    armed = {"h1": Held(E2, 5, 9)}
    assert candidates(granted, armed, (), {}) == {"h1": E2}
    assert candidates(granted, {}, (), {}) == {"h1": E2}, "also after a reboot"
    assert candidates(granted, {"h1": Held(E2)}, (), {}) == {}, "standing: it needs nobody"
    assert candidates(granted, armed, (), {"h1": E3}) == {}, "a peer has named a higher epoch"
    assert candidates(granted, armed, (promise(E3, "psc"),), {}) == {}, "it is promised"
    assert candidates(replace(granted, released={"h1": E2}), armed, (), {}) == {}
    assert candidates(replace(granted, ended={"h1": E3}), armed, (), {}) == {}
    assert candidates(Known(floor={"h1": E2}), armed, (), {}) == {}, "not granted"


def test_what_is_closed_is_asked_for_every_d_at_most() -> None:
    hubs, held = {"open": E1, "closed": E1, "gone": E1}, {"open": Held(E1, 50, 60), "closed": Held(E1, 10, 20)}
    assert due(hubs, held, now_ns=30, closed_asked_ns=25, contact_ns=10) == {"open": E1}
    assert due(hubs, held, now_ns=35, closed_asked_ns=25, contact_ns=10) == hubs


@pytest.mark.parametrize(
    ("silent", "granted_once", "soonest", "asks"),
    [(9, True, 21, False), (11, True, 19, True), (0, False, 9, True), (0, False, 11, False), (0, False, None, False)],
)
def test_when_peers_are_asked(silent: int, granted_once: bool, soonest: int | None, asks: bool) -> None:
    assert must_ask(contact_ns=30, silent_ns=silent, granted_once=granted_once, soonest_ns=soonest) is asks
