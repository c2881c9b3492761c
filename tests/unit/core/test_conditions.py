"""What is said of a hub is true now: also while a newer generation waits, and when nobody may run it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.core.conditions import UNWRITABLE, HubFacts, conditions_of
from federation.core.operation_facts import Seen
from federation.model.identity import Epoch
from federation.model.ownership import Ownership
from federation.model.status import ConditionType, Truth

EPOCH = Epoch(era=1, n=1)


def facts(owner: str | None, served: int, accepted: int) -> HubFacts:
    seen = Seen(epoch_matches=True, generation=served, phase="serving", gate_open=True, processes=2)
    ownership = Ownership(hub="atm101-abc123", owner=owner, epoch=EPOCH, tombstone=owner is None)
    return HubFacts(ownership=ownership, owned=None, wanted=None, seen=seen, silent_s=1.0, generation=accepted)


@pytest.mark.parametrize(
    ("served", "accepted", "truth", "message"),
    [(2, 3, Truth.FALSE, "generation 3 was accepted, 2 is served"), (3, 3, Truth.TRUE, "")],
)
def test_a_hub_is_up_to_date_only_with_the_newest_generation(
    served: int, accepted: int, truth: Truth, message: str
) -> None:
    (condition,) = [c for c in conditions_of(facts("iu", served, accepted)) if c.type is ConditionType.UP_TO_DATE]
    assert (condition.status, condition.message) == (truth, message)


def test_of_a_retired_class_nothing_is_said_that_only_a_running_one_has() -> None:
    types = [condition.type for condition in conditions_of(facts(None, 3, 3))]
    assert types == [ConditionType.SERVING, ConditionType.OWNED, ConditionType.PEER_CLEAN]


@pytest.mark.parametrize(
    ("seen", "truth", "reason", "says"),
    [
        ({}, Truth.UNKNOWN, "NotLooked", "not looked at"),
        ({"name_problem": "resolver r does not answer"}, Truth.UNKNOWN, "CannotLook", "resolver r"),
        ({"name_leads_here": False, "name_problem": "seen as nothing"}, Truth.FALSE, "LeadsElsewhere", "nothing"),
        ({"name_leads_here": True, "name_sight": "a -> b"}, Truth.TRUE, "SeenFromOutside", "a -> b"),
        (
            {"name_leads_here": True, "name_sight": "a -> b", "name_unwritable": "BADSIG"},
            Truth.TRUE,
            UNWRITABLE,
            "a -> b; it cannot be changed now: BADSIG",
        ),
    ],
)
def test_a_name_has_converged_only_as_seen_from_outside(
    seen: dict[str, Any], truth: Truth, reason: str, says: str
) -> None:
    every = conditions_of(replace(facts("iu", 3, 3), **seen))
    (condition,) = [c for c in every if c.type is ConditionType.NAME_CONVERGED]
    assert (condition.status, condition.reason) == (truth, reason)
    assert says in condition.message
