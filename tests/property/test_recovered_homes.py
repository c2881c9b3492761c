"""From which copy homes are restored in a new era, for what its owner, the register and another site can know of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from federation.core.recovered_homes import Ordered, restore_due
from federation.core.recovery import HubFacts
from federation.model.homes import CopyPoint, HomeIndex
from federation.model.identity import Epoch
from federation.model.ownership import Ownership
from federation.model.recovery import HubHolding
from tests.support.virtual import START

HUB = "atm101-abc123"
E1, E2, E3 = EPOCHS = tuple(Epoch(era=1, n=n) for n in (1, 2, 3))
IU, TACC = CopyPoint(site="iu", snapshot="of-iu"), CopyPoint(site="tacc", snapshot="of-tacc")


def index(copy: CopyPoint, at: Epoch) -> HomeIndex:
    return HomeIndex(hub=HUB, copy_=copy, epoch=at, run="r", taken=START)


def claim(**known: object) -> HubHolding:
    return HubHolding.model_validate({"hub": HUB, **known})


Case = tuple[HubFacts, HomeIndex | None, Ordered | None]


def cases() -> Iterator[Case]:
    """tacc is to own it; iu may have had it open. A register that names a takeover has the copy that it restores."""
    trees = (None, *((at, copy) for at in EPOCHS for copy in (None, IU)))
    others = (None, *(claim(floor=at) for at in EPOCHS))
    for tree, other, indexed, at in product(trees, others, (None, (IU, E1), (IU, E2), (TACC, E2)), EPOCHS):
        own = claim(homes=tree[0], restored=tree[1]) if tree is not None else claim()
        claims = {"tacc": own} | ({"iu": other} if other is not None else {})
        records = [
            None,
            Ownership(hub=HUB, owner="iu", epoch=at, homes_at="iu"),
            Ownership(hub=HUB, owner="tacc", epoch=at, homes_at="tacc"),
            *([Ownership(hub=HUB, owner="tacc", epoch=at, restore=indexed[0])] if indexed else []),
        ]
        for record, ordered in product(records, (None, Ordered(E2, IU), Ordered(E2, None))):
            yield HubFacts(HUB, record, claims), index(*indexed) if indexed is not None else None, ordered


def test_a_tree_that_is_not_older_than_anything_known_is_never_replaced() -> None:
    for facts, newest, ordered in cases():
        tree = facts.claims["tacc"].homes
        others = (claim.floor for site, claim in facts.claims.items() if site != "tacc")
        known = [epoch for epoch in others if epoch is not None]
        known += [each.epoch for each in (facts.record, newest, ordered) if each is not None]
        if tree is not None and all(epoch <= tree for epoch in known):
            assert restore_due(facts, "tacc", newest, ordered) is None, (facts, newest, ordered)


def test_no_copy_of_before_a_tree_replaces_it_unless_that_was_ordered() -> None:
    for facts, newest, _ordered in cases():
        tree, record = facts.claims["tacc"].homes, facts.record
        due = restore_due(facts, "tacc", newest, None)
        if due is not None and tree is not None and (record is None or record.restore is None):
            assert newest is not None
            assert tree < newest.epoch, (facts, newest)


def test_without_a_tree_the_copy_of_another_site_is_restored() -> None:
    for facts, newest, _ordered in cases():
        if facts.claims["tacc"].homes is None and (facts.record is None or facts.record.owner == "iu"):
            other = newest is not None and newest.copy_.site == "iu"
            due = restore_due(facts, "tacc", newest, None)
            assert due == (IU if other else None), (facts, newest)


def test_a_hub_that_runs_keeps_the_tree_in_which_it_works() -> None:
    for facts, newest, ordered in cases():
        running = dict(facts.claims) | {"tacc": facts.claims["tacc"].model_copy(update={"runs": True})}
        assert restore_due(HubFacts(HUB, facts.record, running), "tacc", newest, ordered) is None


@pytest.mark.parametrize(
    ("own", "due"),
    [
        (claim(), IU),
        (claim(homes=E1), IU),  # an earlier turn's tree
        (claim(homes=E1, restored=TACC), IU),
        (claim(homes=E1, restored=IU), None),  # it carries the copy
        (claim(homes=E2), None),  # prepared at the epoch of the takeover, or later
        (claim(homes=E3), None),
        (None, IU),  # it does not report
    ],
)
def test_a_restore_that_is_due_stays_due_until_its_tree_tells_that_it_was_made(
    own: HubHolding | None, due: CopyPoint | None
) -> None:
    record = Ownership(hub=HUB, owner="tacc", epoch=E2, restore=IU)
    facts = HubFacts(HUB, record, {"tacc": own} if own is not None else {})
    assert restore_due(facts, "tacc", index(IU, E1), None) == due


def test_a_class_that_was_retired_before_its_homes_were_back_still_owes_them() -> None:
    record = Ownership(hub=HUB, owner=None, epoch=E2, tombstone=True, homes_at="tacc", restore=IU)
    assert restore_due(HubFacts(HUB, record, {"tacc": claim()}), None, index(IU, E1), None) == IU
    carried = {"tacc": claim(homes=E2, restored=IU)}
    assert restore_due(HubFacts(HUB, record, carried), None, index(IU, E1), None) is None
