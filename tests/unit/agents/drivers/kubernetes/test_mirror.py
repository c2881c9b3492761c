"""What an event does to a mirror of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from agents.drivers.kubernetes.mirror import Mirror

Pod = dict[str, Any]


def pod(name: str, revision: int, phase: str = "Running", namespace: str = "a") -> Pod:
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(revision), "managedFields": [{}]}
    return {"metadata": metadata, "status": {"phase": phase}}


def event(kind: str, one: Pod) -> dict[str, Any]:
    return {"type": kind, "object": one}


def bookmark(revision: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": str(revision)}}}


def seen(mirror: Mirror) -> dict[str, str]:
    return {one["metadata"]["name"]: one["status"]["phase"] for one in mirror.all()}


def listed(*pods: Pod, revision: int = 10) -> Mirror:
    mirror = Mirror()
    mirror.begin()
    mirror.replace(pods, revision)
    return mirror


def test_what_is_added_changed_and_deleted_is_in_it() -> None:
    mirror = listed(pod("hub", 3), pod("proxy", 4))
    mirror.take(event("ADDED", pod("ada", 11, "Pending")))
    mirror.take(event("MODIFIED", pod("ada", 12)))
    mirror.take(event("DELETED", pod("proxy", 13)))
    assert seen(mirror) == {"hub": "Running", "ada": "Running"}
    assert mirror.revision == 13


def test_a_bookmark_says_how_far_it_goes_and_changes_nothing() -> None:
    mirror = listed(pod("hub", 3))
    mirror.take(bookmark(40))
    assert (seen(mirror), mirror.revision) == ({"hub": "Running"}, 40)


def test_namespaces_are_told_apart() -> None:
    mirror = listed(pod("hub", 3), pod("hub", 4, "Pending", namespace="b"))
    assert [one["status"]["phase"] for one in mirror.of("b")] == ["Pending"]
    mirror.take(event("DELETED", pod("hub", 11, namespace="b")))
    assert (mirror.of("b"), len(mirror.of("a"))) == ((), 1)
    assert mirror.of("c") == ()


def test_what_is_in_no_namespace_is_found_by_its_name() -> None:
    mirror = listed({"metadata": {"name": "atm101", "resourceVersion": "3"}})
    assert mirror.named("atm101") is not None
    assert mirror.named("met202") is None


def test_who_manages_which_field_is_left_out() -> None:
    assert "managedFields" not in listed(pod("hub", 3)).all()[0]["metadata"]


def test_another_list_is_all_there_is_also_after_the_cluster_was_set_back() -> None:
    mirror = listed(pod("hub", 300), pod("proxy", 301), revision=310)
    mirror.begin()
    mirror.replace([pod("hub", 3)], 5)
    assert (seen(mirror), mirror.revision) == ({"hub": "Running"}, 5)


# --- what was written by ourselves


def test_what_was_written_is_seen_before_the_watch_tells_of_it() -> None:
    mirror = listed(pod("hub", 3, "Old"))
    mirror.put(pod("hub", 15, "New"))
    mirror.take(event("MODIFIED", pod("hub", 12, "Between")))
    assert seen(mirror) == {"hub": "New"}
    mirror.take(event("MODIFIED", pod("hub", 15, "New")))
    mirror.take(event("MODIFIED", pod("hub", 16, "Newer")))
    assert seen(mirror) == {"hub": "Newer"}


def test_an_answer_that_comes_after_the_watch_has_told_more_is_old() -> None:
    mirror = listed(pod("hub", 3))
    mirror.take(event("MODIFIED", pod("hub", 12, "Newer")))
    mirror.put(pod("hub", 11, "Old"))
    assert seen(mirror) == {"hub": "Newer"}
    mirror.take(event("DELETED", pod("hub", 13)))
    mirror.put(pod("hub", 12, "Newer"))
    assert seen(mirror) == {}, "what is gone does not come back"


def test_what_was_made_anew_is_not_taken_away_by_the_end_of_the_one_before() -> None:
    mirror = listed(pod("hub", 3))
    mirror.put(pod("hub", 15, "New"))
    mirror.take(event("DELETED", pod("hub", 14)))
    assert seen(mirror) == {"hub": "New"}


def test_what_was_written_while_a_list_was_made_is_kept_and_what_was_before_is_in_the_list() -> None:
    mirror = listed(pod("hub", 3))
    mirror.put(pod("hub", 15, "Before"))
    mirror.begin()
    mirror.put(pod("proxy", 22, "Meanwhile"))
    mirror.replace([pod("hub", 18, "Listed")], 20)
    assert seen(mirror) == {"hub": "Listed", "proxy": "Meanwhile"}


ODD: list[dict[str, Any]] = [{"type": "ERROR", "object": {"metadata": {"resourceVersion": "4"}}}, {}, {"type": "ADDED"}]


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_event_is_an_error(odd: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        listed().take(odd)
