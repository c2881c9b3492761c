"""Waiting for an operation: which failures are waited out, which say that it goes on, and which end the waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from federation.api.v1 import types_pb2
from federation.cli.client import Client
from federation.cli.waiting import wait_for
from federation.model.errors import (
    DeadlineExceeded,
    Denied,
    ExitCode,
    FederationError,
    NotFound,
    NotLeader,
    RegisterFault,
    Unavailable,
)

DONE = types_pb2.Operation(id="op", done=True)


class Answers(Client):
    """Coordinators that answer a watch in this order: an error, or the end of the operation."""

    def __init__(self, *answers: FederationError | types_pb2.Operation) -> None:
        self._to_say = iter(answers)

    def stream(self, method: str, request: Any, *, timeout_s: float | None = None) -> Iterator[Any]:
        answer = next(self._to_say)
        if isinstance(answer, FederationError):
            raise answer
        yield answer


@pytest.mark.parametrize("error", [Denied("no"), FederationError("a defect"), NotFound("gone"), RegisterFault("other")])
def test_what_will_not_get_better_is_told_as_it_is(error: FederationError) -> None:
    with pytest.raises(type(error)):
        wait_for(Answers(error, DONE), "atm101", DONE, 60.0)


@pytest.mark.parametrize("error", [Unavailable("down"), NotLeader("moved"), DeadlineExceeded("one was late")])
def test_what_passes_is_waited_out(error: FederationError) -> None:
    assert wait_for(Answers(error, DONE), "atm101", DONE, 60.0) is ExitCode.OK


def test_after_its_time_the_operation_goes_on_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    code = wait_for(Answers(DeadlineExceeded("late")), "atm101", DONE, 0.2)
    assert code is ExitCode.TIMED_OUT
    assert "the operation goes on" in capsys.readouterr().err
