"""The programs of a local federation: what starts before what, and what stops first."""

from __future__ import annotations

from federation.cli.local.programs import Program, stopping_order


def test_fencers_stop_first_and_the_rest_in_reverse() -> None:
    names = ("etcd", "c1", "fencer-iu", "fencer-tacc", "agent-iu", "agent-tacc")
    started = tuple(Program(name, name.split("-")[0], ()) for name in names)
    stopped = [program.name for program in stopping_order(started)]
    assert stopped == ["fencer-iu", "fencer-tacc", "agent-tacc", "agent-iu", "c1", "etcd"]
