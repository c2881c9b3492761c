"""What a lease file permits, read in Python. The edge's twin keeps the same rules (tests/contract/test_edge_driver)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.drivers.gate import Gate
from federation.model.identity import Epoch

E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)
NOW = 1_000


def file(seq: int = 1, boot: str = "b", incarnation: int = 1, **hubs: Any) -> bytes:
    entries = {hub: {"epoch": [1, n], "close_at": at, "stop_by": None} for hub, (n, at) in hubs.items()}
    return json.dumps({"boot_id": boot, "incarnation": incarnation, "seq": seq, "hubs": entries}).encode()


def test_nothing_in_memory_is_closed() -> None:
    assert not Gate("b").is_open("h", E1, NOW)


def test_a_standing_hub_is_open_at_its_epoch_only() -> None:
    gate = Gate("b")
    assert gate.take(file(h=(1, None)))
    assert gate.is_open("h", E1, NOW)
    assert not gate.is_open("h", E2, NOW)
    assert not gate.is_open("other", E1, NOW)


def test_a_deadline_is_the_first_moment_at_which_it_is_closed() -> None:
    gate = Gate("b")
    gate.take(file(h=(1, NOW)))
    assert gate.is_open("h", E1, NOW - 1)
    assert not gate.is_open("h", E1, NOW)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff",
        b'{"boot_id":"b","incarnation":1,"seq":2}',
        b'{"boot_id":"b","incarnation":1,"seq":2,"hubs":{"h":{}}}',
        b'{"boot_id":"b","incarnation":1,"seq":2,"hubs":{"h":{"epoch":[1],"close_at":null,"stop_by":null}}}',
        b'{"boot_id":"b","incarnation":1,"seq":2,"hubs":{"h":{"epoch":[1,1],"close_at":"soon","stop_by":null}}}',
        b'{"boot_id":"b","incarnation":true,"seq":2,"hubs":{}}',
        b'{"boot_id":"b","incarnation":1,"seq":-2,"hubs":{}}',
    ],
)
def test_what_cannot_be_read_changes_nothing(content: bytes | None) -> None:
    gate = Gate("b")
    gate.take(file(h=(1, None)))
    assert not gate.take(content)
    assert gate.is_open("h", E1, NOW)


def test_another_boot_and_older_files_are_ignored() -> None:
    gate = Gate("b")
    gate.take(file(seq=5, incarnation=2))
    assert not gate.take(file(seq=6, incarnation=2, boot="other", h=(1, None)))
    assert not gate.take(file(seq=4, incarnation=2, h=(1, None)))
    assert not gate.take(file(seq=99, incarnation=1, h=(1, None)))
    assert not gate.is_open("h", E1, NOW)
    assert gate.take(file(seq=1, incarnation=3, h=(1, None)))
    assert gate.is_open("h", E1, NOW)
