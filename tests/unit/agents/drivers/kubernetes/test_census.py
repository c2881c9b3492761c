"""What pods say of a hub."""

from __future__ import annotations

from typing import Any

import pytest

from agents.drivers.kubernetes.census import Census, up_to_date
from federation.model.scalars import TESTER

Pod = dict[str, Any]


def pod(
    component: str, name: str = "", *, phase: str = "Running", ready: bool = True, going: bool = False, **status: Any
) -> Pod:
    metadata: dict[str, Any] = {"name": name or component, "uid": name or component, "labels": {"component": component}}
    if going:
        metadata["deletionTimestamp"] = "2026-11-27T14:40:00Z"
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}, *status.pop("conditions", [])]
    return {"metadata": metadata, "status": {"phase": phase, "conditions": conditions, **status}}


def server(user: str, settings: str = "a1", uid: str = "") -> Pod:
    made = pod("singleuser-server", f"jupyter-{user}")
    made["metadata"]["uid"] = uid or user
    made["metadata"]["labels"]["hubfed.io/server"] = settings
    made["metadata"]["annotations"] = {"hub.jupyter.org/username": user}
    return made


def waiting(reason: str, message: str = "", last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"name": "hub", "state": {"waiting": {"reason": reason, "message": message}}}
    return {"containerStatuses": [state | ({"lastState": {"terminated": last}} if last else {})]}


def test_a_pod_that_is_over_is_not_there() -> None:
    census = Census.of([pod("hub"), pod("hub", "old", phase="Failed"), pod("hook", phase="Succeeded")])
    assert [one["metadata"]["name"] for one in census.pods] == ["hub"]


def test_what_pulls_images_ahead_is_no_part_of_a_hub() -> None:
    puller = pod("continuous-image-puller")
    puller["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "continuous-image-puller"}]
    assert Census.of([puller]).pods == (), "its pods come again as often as they are ended"


def test_a_pod_that_is_about_to_go_serves_nobody() -> None:
    assert Census.of([pod("hub")]).ready("hub")
    assert not Census.of([pod("hub", going=True)]).ready("hub")
    assert not Census.of([pod("hub", ready=False)]).ready("hub")
    assert Census.of([pod("hub", going=True), pod("hub", "new")]).ready("hub")


def test_servers_are_counted_with_what_they_were_started_with_and_test_servers_are_not() -> None:
    census = Census.of([pod("hub"), server("ada"), server("bob", "b2"), server(TESTER)])
    assert census.servers == {"jupyter-ada": "a1", "jupyter-bob": "b2"}


def test_a_new_server_is_seen_as_use_and_a_test_server_is_not() -> None:
    before = Census.of([server("ada")]).used
    assert Census.of([server("ada")]).used == before
    assert Census.of([server("ada"), server(TESTER)]).used == before
    assert Census.of([server("ada", uid="another")]).used != before


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (waiting("ErrImageNeverPull", "image is not present"), "its image is not on the node and may not be pulled"),
        (
            waiting("ImagePullBackOff", 'Back-off pulling image "x"'),
            "its image cannot be pulled (container hub, ImagePull",
        ),
        (waiting("CreateContainerConfigError", 'secret "hub" not found'), 'secret "hub" not found'),
        (
            waiting("CrashLoopBackOff", "back-off 10s", {"reason": "Error", "message": "log\nno such config\n"}),
            "it ends soon after each start (container hub, CrashLoopBackOff): back-off 10s; no such config",
        ),
    ],
)
def test_what_waiting_will_not_mend_is_said(status: dict[str, Any], says: str) -> None:
    census = Census.of([pod("hub", phase="Pending", ready=False, **status), pod("proxy")])
    assert census.cannot_start()
    (said,) = census.troubles()
    assert said.startswith("hub: ")
    assert says in said


def test_a_pod_without_a_node_may_still_get_one() -> None:
    why = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes: 3 Insufficient cpu",
    }
    census = Census.of([pod("hub", phase="Pending", ready=False, conditions=[why])])
    assert not census.cannot_start()
    assert census.troubles() == ("hub: no node takes it: 0/3 nodes: 3 Insufficient cpu",)


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ({"observedGeneration": 3, "replicas": 1, "updatedReplicas": 1}, True),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, False),
        ({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 1}, False),
        ({"observedGeneration": 3, "replicas": 1}, False),
        ({}, False),
    ],
)
def test_what_was_written_is_not_yet_what_runs(status: dict[str, int], done: bool) -> None:
    deployment = {"metadata": {"generation": 3}, "spec": {"replicas": 1}, "status": status}
    assert up_to_date(deployment) is done


def test_a_deployment_of_nothing_is_there_when_nothing_is_left() -> None:
    def nothing(**status: int) -> bool:
        return up_to_date({"metadata": {"generation": 1}, "spec": {"replicas": 0}, "status": status})

    assert nothing(observedGeneration=1)
    assert not nothing(observedGeneration=1, replicas=1)
