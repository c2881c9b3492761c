"""What `fedctl doctor` says of the register: an etcd that may lose what it acknowledged is red, however well it runs."""

from __future__ import annotations

from typing import Any

import pytest

from federation.api.v1 import control_pb2
from federation.cli.client import Client
from federation.cli.verbs.doctor import _register


class Answers(Client):
    """A coordinator whose register runs this version."""

    def __init__(self, version: str) -> None:
        self._version = version

    def call(self, method: str, request: Any, *, timeout_s: float = 0.0, repeatable: bool = True) -> Any:
        return control_pb2.StatusResponse(register_version=self._version, revision=7)


@pytest.mark.parametrize("version", ["3.5.0", "3.5.1", "3.5.2"])
def test_an_etcd_that_can_corrupt_its_data_is_red(version: str) -> None:
    ((state, what, why),) = _register(Answers(version))
    assert (state, what) == ("RED", "register")
    assert version in why
    assert "for a demo only" in why


@pytest.mark.parametrize("version", ["3.4.23", "3.5.9", "3.5.20", "3.6.1"])
def test_any_other_is_well(version: str) -> None:
    assert list(_register(Answers(version))) == [("ok", "register", f"etcd {version}, revision 7")]


def test_an_alarm_is_red() -> None:
    ((state, _what, why),) = _register(Answers("3.5.9 ALARM NOSPACE"))
    assert state == "RED"
    assert "NOSPACE" in why
