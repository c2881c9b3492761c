"""Whether homes that are to be restored were so at an earlier epoch of the same stay: then what is there is newer."""

from __future__ import annotations

import pytest

from agents.copying import restored_before
from agents.drivers.base import CopyRef, HomesMark
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.identity import Epoch

COPY = CopyRef("iu", "h1", "a" * 64)


def directive(epoch: int, since: int | None) -> agent_pb2.WantedHub:
    """An order to restore the copy."""
    order = agent_pb2.WantedHub(hub="h1", epoch=types_pb2.Epoch(era=1, n=epoch))
    if since is not None:
        order.restore_since.CopyFrom(types_pb2.Epoch(era=1, n=since))
    return order


def mark(epoch: int) -> HomesMark:
    return HomesMark(Epoch(era=1, n=epoch), COPY)


@pytest.mark.parametrize(
    ("found", "order", "expected"),
    [
        (mark(2), directive(4, since=2), True),
        (mark(4), directive(4, since=2), True),  # it was taken on already, and the agent was restarted
        (HomesMark(Epoch(era=1, n=4)), directive(6, since=2), True),  # retired and restored twice
        (mark(1), directive(4, since=2), False),  # of an earlier stay of the class at this site
        (mark(2), directive(2, since=2), False),  # a takeover of now: the driver knows whether it is done
        (mark(2), directive(4, since=None), False),  # an older coordinator does not say
        (None, directive(4, since=2), False),
    ],
)
def test_homes_of_this_stay_are_left(found: HomesMark | None, order: agent_pb2.WantedHub, expected: bool) -> None:
    assert restored_before(found, order) is expected
