"""The memory store and a real etcd, given the same commands, give the same answers: simulations may rely on the twin.

The commands and how answers are compared are those of `tests/property/test_store_model.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from tests.property.test_store_model import (
    Command,
    Compact,
    Grant,
    Look,
    Revoke,
    Watch,
    Write,
    answers,
    commands,
    memory,
)
from tests.support.etcd import EtcdCluster, etcd

NUMBERS = count()
few = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow], phases=set(Phase) - {Phase.explain}
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    with etcd() as running:
        yield running


@few
@given(given_commands=commands)
@example(
    given_commands=[
        Grant(0),
        Write(puts=(("a", b"1", 0), ("a/b", b"", None)), reads=("a", "b"), ranges=("a", "")),
        Write(puts=(("a", b"2", None),), deletes=("b", "a/b")),
        Revoke(0),
        Look("a", ""),
        Write(puts=(("é", b"1", 0),)),  # there is no such lease any more
        Write(deletes=("none",)),
        Watch("a", 8),
        Compact(0),
        Watch("", 8),
        Watch("", 0),
    ]
)
async def test_the_twins_give_the_same_answers(cluster: EtcdCluster, given_commands: list[Command]) -> None:
    async with cluster.connected(f"twin-{next(NUMBERS)}") as real:
        assert await answers(real, given_commands) == await answers(memory(), given_commands)
