"""What a namespace says of a hub, and what is done about a namespace that is not ours."""

from __future__ import annotations

from typing import Any

import pytest

from agents.drivers.kubernetes.hub_record import HubNamespace, HubRecord, HubSecrets, namespace_body
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch

HUB = "atm101-abc123"
RECORD = HubRecord(epoch=Epoch(era=1, n=3), generation=2, applied="f", server="s", draining=True)


def body(record: HubRecord | None = RECORD, homes: str = "mark") -> dict[str, Any]:
    return namespace_body("iu", HUB, record, homes)


def test_what_is_written_is_read_back() -> None:
    found = HubNamespace.of("iu", HUB, body())
    assert (found.record, found.homes, found.ending) == (RECORD, "mark", "")
    assert HubNamespace.of("iu", HUB, body(None, "")).record is None


def test_what_surrounds_a_hub_is_a_note_beside_the_record_which_older_agents_neither_read_nor_remove() -> None:
    before = body()
    assert HubNamespace.of("iu", HUB, before).around == "", "of a hub that an older agent started: it is brought anew"
    noted = body()
    noted["metadata"]["annotations"]["hubfed.io/around"] = "f"
    found = HubNamespace.of("iu", HUB, noted)
    assert (found.record, found.around) == (RECORD, "f")
    assert "hubfed.io/around" not in body()["metadata"]["annotations"], "what is applied leaves notes of others alone"


@pytest.mark.parametrize("labels", [{}, {"hubfed.io/site": "tacc", "hubfed.io/hub": HUB}, {"hubfed.io/site": "iu"}])
def test_a_namespace_of_somebody_else_is_never_touched(labels: dict[str, str]) -> None:
    theirs = body()
    theirs["metadata"]["labels"] = labels
    with pytest.raises(DriverError, match="is in the cluster already, and is not this site's"):
        HubNamespace.of("iu", HUB, theirs)


def test_an_order_of_an_older_epoch_is_refused() -> None:
    found = HubNamespace.of("iu", HUB, body())
    found.check_epoch(RECORD.epoch)
    with pytest.raises(StaleEpoch):
        found.check_epoch(Epoch(era=1, n=2))


def test_a_namespace_that_is_going_away_says_what_holds_it() -> None:
    going = body()
    going["metadata"]["deletionTimestamp"] = "2026-11-27T14:40:00Z"
    assert HubNamespace.of("iu", HUB, going).ending == "it is being deleted"
    why = "Some content in the namespace has finalizers remaining: example.org/hold in 1 resource instances"
    going["status"] = {
        "conditions": [{"type": "A", "status": "False", "message": "fine"}, {"status": "True", "message": why}]
    }
    assert HubNamespace.of("iu", HUB, going).ending == why


@pytest.mark.parametrize("text", ["{", '{"epoch": {"era": 1, "n": 1}}', '{"unknown": 1}'])
def test_a_record_that_somebody_changed_is_an_error_that_says_what_to_do(text: str) -> None:
    changed = body()
    changed["metadata"]["annotations"]["hubfed.io/record"] = text
    with pytest.raises(DriverError, match="cannot be understood") as error:
        HubNamespace.of("iu", HUB, changed)
    assert "hubfed.io/record" in error.value.help


def test_secrets_are_read_back_and_one_that_is_missing_is_an_error_without_the_others() -> None:
    drawn = HubSecrets.draw()
    assert HubSecrets.of(HUB, drawn.body()) == drawn
    assert HubSecrets.draw() != drawn
    part = drawn.body()
    del part["data"]["cookie"]
    with pytest.raises(DriverError, match="cannot be understood") as error:
        HubSecrets.of(HUB, part)
    assert part["data"]["api"] not in str(error.value)
