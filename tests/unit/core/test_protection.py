"""Armed only if a takeover could follow; else every reason is said (PROTOCOL.md H15)."""

from dataclasses import replace

import pytest

from federation.core.protection import ProtectionFacts, wanted_mode
from federation.core.takeover import Target
from federation.model.ownership import Mode

GOOD = ProtectionFacts(witness=True, paused="", targets=(Target("tacc"),), wants_standby=True, copies="")


def test_with_a_witness_a_standby_and_copies_a_hub_is_armed() -> None:
    assert wanted_mode(GOOD) == (Mode.ARMED, ())
    assert wanted_mode(replace(GOOD, targets=(Target("mars", "full"), Target("tacc"))))[0] is Mode.ARMED


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"witness": False}, "no witness"),
        ({"paused": "storage work"}, "storage work"),
        ({"wants_standby": False}, "placement.standby is none"),
        ({"targets": ()}, "no other site has joined"),
        ({"targets": (Target("tacc", "needs 9 cores"),)}, "tacc: needs 9 cores"),
        ({"copies": "no copy yet"}, "no copy yet"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, object], words: str) -> None:
    mode, reasons = wanted_mode(replace(GOOD, **change))  # type: ignore[arg-type]
    assert mode is Mode.STANDING
    assert words in reasons[0]


def test_all_reasons_are_said_at_once() -> None:
    assert len(wanted_mode(replace(GOOD, witness=False, targets=(), copies="no copy yet"))[1]) == 3
