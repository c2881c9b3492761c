"""Before a cluster is changed a person is asked, and only a plain yes is one."""

from __future__ import annotations

import io
import sys

import pytest

from federation.cli.preparing import _agreed
from federation.model.errors import InvalidRequest


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("yep\n", False), ("", False)]
)
def test_only_yes_is_a_yes(typed: str, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert _agreed("iu") is agreed


def test_where_nobody_can_be_asked_nobody_has_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(InvalidRequest):
        _agreed("iu")
