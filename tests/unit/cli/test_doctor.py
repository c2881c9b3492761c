"""What `fedctl doctor` says of the register (an etcd that may lose what it acknowledged is red, however well it runs) and
of names: one that cannot be changed is noted while it still leads to its class."""

from __future__ import annotations

from typing import Any

import pytest

from federation.api.v1 import control_pb2, types_pb2
from federation.cli.client import Client
from federation.cli.verbs.doctor import _classrooms, _register
from federation.core.conditions import UNWRITABLE


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


class Classes(Client):
    """A coordinator with one class that has this condition and nothing under way."""

    def __init__(self, condition: types_pb2.Condition) -> None:
        self._condition = condition

    def call(self, method: str, request: Any, *, timeout_s: float = 0.0, repeatable: bool = True) -> Any:
        answer = control_pb2.ListResponse()
        hub = answer.items.add()
        hub.metadata.name = "atm101"
        hub.status.operation.done = True
        hub.status.conditions.append(self._condition)
        return answer


@pytest.mark.parametrize(
    ("status", "reason", "lines"),
    [
        ("True", "SeenFromOutside", []),
        ("True", UNWRITABLE, [("note", "classroom atm101 NameConverged=True", "why")]),
        ("False", "LeadsElsewhere", [("RED", "classroom atm101 NameConverged=False", "why")]),
        ("Unknown", "CannotLook", [("RED", "classroom atm101 NameConverged=Unknown", "why")]),
    ],
)
def test_names_that_do_not_converge_are_red_and_those_that_cannot_be_changed_are_noted(
    status: str, reason: str, lines: list[tuple[str, str, str]]
) -> None:
    condition = types_pb2.Condition(type="NameConverged", status=status, reason=reason, message="why")
    assert list(_classrooms(Classes(condition))) == lines
