"""Whose a hub is after the register was lost, for every way in which two sites and a register can contradict each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from federation.core.recovery import NOBODY, Fate, HubFacts, Verdict, decide
from federation.model.identity import Epoch
from federation.model.ownership import Mode, Ownership
from federation.model.recovery import HubHolding

HUB = "atm101-abc123"
E1, E2, E3 = (Epoch(era=1, n=n) for n in (1, 2, 3))
NEW = Epoch(era=2, n=1)


def holding(at: Epoch, **more: object) -> HubHolding:
    fields = {"hub": HUB, "accepted": at, "floor": at, "held": at, "mode": Mode.ARMED, "runs": True, "serving": True}
    return HubHolding.model_validate({**fields, **more})


def claims_at(at: Epoch) -> list[HubHolding]:
    """What a site can say of an epoch that it has heard of."""
    closed = {"held": None, "serving": False, "runs": False}
    return [
        holding(at),
        holding(at, **closed),  # granted once, and away since
        holding(at, **{**closed, "floor": None}),  # told, and not opened yet
        holding(at, **closed, ended=at.next()),  # somebody else has it, or it was retired
        HubHolding(hub=HUB, floor=at, released=at),  # given up for a move
    ]


CLAIMS: list[HubHolding | None] = [None, *(claim for at in (E1, E2, E3) for claim in claims_at(at))]
RECORDS = [
    None,
    *(Ownership(hub=HUB, owner=site, epoch=at, homes_at=site) for site in ("iu", "tacc") for at in (E1, E2)),
    Ownership(hub=HUB, owner=None, epoch=E1, homes_at="iu"),
    Ownership(hub=HUB, owner=None, epoch=E2, tombstone=True, homes_at="iu"),
]


def situations() -> Iterator[HubFacts]:
    """All of them: 16 things that each site can say, times what the register can."""
    for iu, tacc, record in product(CLAIMS, CLAIMS, RECORDS):
        said = {"iu": iu, "tacc": tacc}
        yield HubFacts(HUB, record, {site: claim for site, claim in said.items() if claim is not None})


def verdicts() -> Iterator[tuple[HubFacts, Verdict]]:
    for facts in situations():
        verdict = decide(facts)
        if verdict is not None:
            yield facts, verdict


def test_who_alone_serves_keeps_it_or_a_person_is_asked() -> None:
    for facts, verdict in verdicts():
        serving = [site for site, claim in facts.claims.items() if claim.serving]
        if len(serving) == 1 and verdict.fate is Fate.OWNED:
            assert verdict.owner == serving[0], facts
        if len(serving) > 1:
            assert verdict.fate is not Fate.OWNED, facts


def test_nothing_that_serves_is_ended_but_by_a_tombstone_above_it() -> None:
    for facts, verdict in verdicts():
        if verdict.fate is Fate.CLOSED:
            assert facts.record is not None
            assert facts.record.tombstone
            assert all(claim.live is None or claim.live < facts.record.epoch for claim in facts.claims.values())


def test_nobody_opens_it_below_an_epoch_at_which_another_has_had_it_open() -> None:
    """Else students would meet older work than what they left (I3)."""
    for facts, verdict in verdicts():
        if verdict.owner is None or verdict.owner not in facts.claims:
            continue
        own = facts.claims[verdict.owner].highest
        record = facts.record.epoch if facts.record is not None and facts.record.owner == verdict.owner else None
        best = max(epoch for epoch in (own, record) if epoch is not None)
        for site, claim in facts.claims.items():
            if site != verdict.owner and claim.floor is not None and claim.ended is None:
                assert claim.floor <= best, facts


def test_whoever_else_could_have_it_open_is_told_to_close() -> None:
    for facts, verdict in verdicts():
        if verdict.fate is Fate.UNDECIDED:
            continue
        could = {site for site, claim in facts.claims.items() if claim.live is not None or claim.runs}
        assert could - {verdict.owner} <= set(verdict.closing), facts
        assert verdict.owner not in verdict.closing


def test_a_person_can_decide_everything_that_is_not_decided() -> None:
    for facts, verdict in verdicts():
        if verdict.fate is Fate.UNDECIDED:
            for word in ("iu", "tacc", NOBODY):
                decided = decide(HubFacts(HUB, facts.record, facts.claims, word=word))
                assert decided is not None
                assert decided.owner == (None if word == NOBODY else word)


def test_what_was_decided_is_decided_again_when_it_is_on_record() -> None:
    """A recovery that was interrupted goes on with the same result."""
    for facts, verdict in verdicts():
        if verdict.fate is Fate.UNDECIDED:
            continue
        tombstone = verdict.fate is Fate.CLOSED
        written = Ownership(hub=HUB, owner=verdict.owner, epoch=NEW, tombstone=tombstone, homes_at=verdict.owner)
        again = decide(HubFacts(HUB, written, facts.claims))
        assert again is not None
        assert (again.fate, again.owner) == (verdict.fate, verdict.owner), facts


@pytest.mark.parametrize(
    ("claims", "record", "word"),
    [
        ({"iu": holding(E1), "tacc": holding(E2)}, None, "both serve it"),
        ({"iu": holding(E1), "tacc": holding(E2, held=None, serving=False)}, None, "has had it open at 1.2"),
        ({"iu": holding(E1, held=None, serving=False, runs=False, ended=E2)}, RECORDS[1], "ended by 1.2"),
        ({"iu": HubHolding(hub=HUB, runs=True)}, None, "it runs at iu"),
    ],
)
def test_a_person_is_told_what_does_not_agree(
    claims: dict[str, HubHolding], record: Ownership | None, word: str
) -> None:
    verdict = decide(HubFacts(HUB, record, claims))
    assert verdict is not None
    assert verdict.fate is Fate.UNDECIDED
    assert word in verdict.reason


def test_a_site_that_was_left_out_keeps_what_nobody_else_claims() -> None:
    record = Ownership(hub=HUB, owner="tacc", epoch=E1, homes_at="tacc")
    verdict = decide(HubFacts(HUB, record, {}, silent={"tacc"}))
    assert verdict is not None
    assert verdict.owner == "tacc"
    assert "does not report" in verdict.reason
