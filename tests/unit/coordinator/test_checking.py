"""What only a coordinator can check of a classroom: here, whether its names can ever be written."""

from __future__ import annotations

from typing import Any, cast

import pytest

from federation.api.v1 import control_pb2
from federation.coordinator.checking import Checking
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import spec_message
from federation.model.errors import InvalidRequest
from federation.runtime.clock import SystemClock
from federation.store.memory import MemoryStore
from federation.store.mirror import Mirror
from federation.store.register import Register
from tests.support.classrooms import classroom

ANYWHERE: dict[str, Any] = {"allow": [], "prefer": None}


def read(zone: str, host: str, *aliases: str) -> None:
    """Of a federation that no site has joined yet; reading asks the register nothing."""
    clock = SystemClock()
    checking = Checking(cast(Register, None), Snapshot(Mirror(MemoryStore(clock), clock=clock)), zone)
    asked = classroom(dns={"host": host, "aliases": list(aliases)}, placement=ANYWHERE)
    checking.read(control_pb2.Classroom(name="atm101", spec=spec_message(asked)))


def test_a_name_outside_the_zone_is_refused_before_anything_is_placed() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read("hubs.example.edu", "atm101.hubs.example.edu", "atm101.example.edu", "xhubs.example.edu")
    assert "host name atm101.example.edu is not below hubs.example.edu" in refused.value.message
    assert "host name xhubs.example.edu is not below hubs.example.edu" in refused.value.message
    assert "atm101.hubs.example.edu is not" not in refused.value.message


def test_names_below_the_zone_and_any_name_where_there_is_none_are_taken() -> None:
    read("hubs.example.edu", "atm101.hubs.example.edu")
    read("", "atm101.localhost")
