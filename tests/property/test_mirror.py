"""A mirror of the cluster, against the cluster: whatever is told in whatever order, it comes to the same."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.drivers.kubernetes.mirror import Mirror

Object = dict[str, Any]
NAMES = st.sampled_from("abc")
CHANGES = st.tuples(st.booleans(), NAMES)  # whether it is a deletion, of what
HISTORY = st.lists(CHANGES, min_size=1, max_size=30)
LATER = st.integers(0, 5)


class Cluster:
    """Its history: each change has the revision of its place."""

    def __init__(self, changes: list[tuple[bool, str]]) -> None:
        self.events: list[Object] = []
        self.states: list[dict[str, int]] = [{}]
        for delete, name in changes:
            state, revision = dict(self.states[-1]), len(self.states)
            there = name in state
            if delete and there:
                del state[name]
            elif not delete:
                state[name] = revision
            kind = "BOOKMARK" if delete and not there else "DELETED" if delete else "MODIFIED" if there else "ADDED"
            self.events.append({"type": kind, "object": named(name, revision)})
            self.states.append(state)

    def at(self, revision: int) -> list[Object]:
        return [named(name, made) for name, made in self.states[revision].items()]


def named(name: str, revision: int) -> Object:
    return {"metadata": {"name": name, "resourceVersion": str(revision)}}


def seen(mirror: Mirror) -> dict[str, int]:
    return {one["metadata"]["name"]: int(one["metadata"]["resourceVersion"]) for one in mirror.all()}


@given(HISTORY, st.integers(0, 30), st.integers(0, 30), st.lists(LATER, max_size=30))
def test_it_ends_as_the_cluster_is_however_early_or_late_answers_to_our_own_writes_come(
    changes: list[tuple[bool, str]], first: int, second: int, delays: list[int]
) -> None:
    """Every change that makes something may be ours; its answer comes `delays` events before or after the watch tells."""
    cluster, mirror = Cluster(changes), Mirror()
    first = min(first, len(changes))
    second = max(first, min(second, len(changes)))
    mirror.begin()
    mirror.replace(cluster.at(first), first)
    for revision, event in enumerate(cluster.events, 1):
        for ahead, delay in enumerate(delays):
            written = revision + ahead - delay
            if 0 < written <= len(cluster.events) and cluster.events[written - 1]["type"] in ("ADDED", "MODIFIED"):
                mirror.put(copy.deepcopy(cluster.events[written - 1]["object"]))
        if revision == second:
            mirror.begin()
            mirror.replace(cluster.at(second), second)
        elif revision > first and not (first < revision < second and revision in delays):
            mirror.take(copy.deepcopy(event))
    assert seen(mirror) == cluster.states[-1]


@given(HISTORY, st.integers(0, 30))
def test_what_was_written_is_there_from_then_on_until_it_is_changed_again(
    changes: list[tuple[bool, str]], told: int
) -> None:
    cluster, mirror = Cluster(changes), Mirror()
    told = min(told, len(changes))
    mirror.begin()
    mirror.replace(cluster.at(told), told)
    for event in cluster.events[told:]:
        if event["type"] in ("ADDED", "MODIFIED"):
            one = copy.deepcopy(event["object"])
            mirror.put(one)
            assert one in mirror.all()
