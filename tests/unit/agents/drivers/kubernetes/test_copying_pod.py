"""What a pod that copies homes is made of, and what is said of one that did not do it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from agents.drivers.kubernetes.census import Census
from agents.drivers.kubernetes.copying_pod import CopyingPod, has_begun, how_it_ended, is_over, is_stuck, why_it_waits
from agents.drivers.kubernetes.homes_order import Call
from federation.model.errors import DeadlineExceeded, DriverError
from tests.unit.agents.drivers.kubernetes.test_homes_order import HUB, ORDER

POD = CopyingPod(
    name="homes-save-1",
    image="registry.example.edu/hubfed:1",
    order=ORDER,
    claims={"ada": "claim-ada", "bob": "claim2-bob"},
    database=True,
    node="",
    ends_after_s=360,
)


def spec(pod: CopyingPod = POD) -> dict[str, Any]:
    found = pod.body()["spec"]
    assert isinstance(found, dict)
    return found


def mounts(pod: CopyingPod = POD) -> dict[str, str]:
    """Path -> what is there."""
    volumes = {volume["name"]: volume for volume in spec(pod)["volumes"]}
    found = {}
    for mount in spec(pod)["containers"][0]["volumeMounts"]:
        (source,) = [value for key, value in volumes[mount["name"]].items() if key != "name"]
        found[mount["mountPath"]] = source.get("claimName") or source.get("path") or source.get("secretName") or ""
    return found


def test_it_sees_homes_as_a_tree_and_the_database_where_a_hub_has_it() -> None:
    assert mounts() == {
        "/hubfed/work": "",
        "/hubfed/order": "homes-save-1",
        "/srv/copies": "/srv/copies",
        f"/hubfed/work/state/hubs/{HUB}": "hub-db-dir",
        f"/hubfed/work/homes/{HUB}/ada": "claim-ada",
        f"/hubfed/work/homes/{HUB}/bob": "claim2-bob",
    }


def test_a_restore_sees_new_claims_beside_the_tree() -> None:
    pod = replace(POD, order=ORDER.revise(call=Call.RESTORE))
    assert f"/hubfed/work/homes/.restoring-{HUB}/ada" in mounts(pod)


def test_a_store_that_is_no_folder_is_not_mounted_and_a_database_only_where_it_is_wanted() -> None:
    pod = replace(POD, order=ORDER.revise(store="s3:https://s3.example.edu/homes"), database=False)
    assert "hub-db-dir" not in mounts(pod).values()
    assert not any("hostPath" in volume for volume in spec(pod)["volumes"])


def test_it_can_do_no_more_than_it_must() -> None:
    found = spec()
    (container,) = found["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]},
    }
    assert found["automountServiceAccountToken"] is False
    assert "fsGroup" not in found["securityContext"], "files would be given another group each time"
    assert found["restartPolicy"] == "Never"
    assert found["activeDeadlineSeconds"] == 360


def test_it_goes_where_homes_are_in_use_also_if_that_node_is_being_emptied() -> None:
    here = spec(replace(POD, node="n1"))
    terms = here["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]
    assert "node.kubernetes.io/unschedulable" in {one["key"] for one in here["tolerations"]}
    anywhere = spec()
    assert "affinity" not in anywhere
    assert "node.kubernetes.io/unschedulable" not in {one["key"] for one in anywhere["tolerations"]}


def test_what_is_secret_is_in_its_secret_alone() -> None:
    body = POD.secret(b"AWS_SECRET_ACCESS_KEY=x\n", None)
    assert sorted(body["data"]) == ["order.json", "store.env"]
    assert json.loads(base64.b64decode(body["data"]["order.json"]))["password"] == ORDER.password
    assert ORDER.password not in json.dumps(POD.body())
    (volume,) = [one for one in spec()["volumes"] if "secret" in one]
    assert volume["secret"]["defaultMode"] == 0o400


def test_it_is_found_by_its_labels_and_is_no_part_of_the_hub() -> None:
    labels = POD.body()["metadata"]["labels"]
    assert (labels["hubfed.io/site"], labels["hubfed.io/hub"], labels["hubfed.io/copies"]) == ("iu", HUB, "save")
    assert POD.secret(None, None)["metadata"]["labels"] == labels
    running = {**POD.body(), "status": {"phase": "Running"}}
    hub = {"metadata": {"name": "hub", "labels": {"component": "hub"}}, "status": {"phase": "Running"}}
    assert Census.of([running, hub]).pods == (hub,)


def said(**status: Any) -> dict[str, Any]:
    return {**POD.body(), "status": status}


def test_a_pod_that_runs_or_ran_has_begun() -> None:
    assert [has_begun(said(phase=phase)) for phase in ("Pending", "Running", "Failed")] == [False, True, True]
    assert [is_over(said(phase=phase)) for phase in ("Pending", "Running", "Succeeded")] == [False, False, True]
    assert not has_begun(POD.body())


def test_why_it_does_not_start_is_said() -> None:
    nowhere = [{"type": "PodScheduled", "status": "False", "message": "exceed max volume count"}]
    assert why_it_waits(said(phase="Pending", conditions=nowhere)) == "no node takes it: exceed max volume count"
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    stuck = said(phase="Pending", containerStatuses=[waiting])
    assert is_stuck(stuck)
    assert why_it_waits(stuck) == "its image cannot be pulled (ImagePullBackOff): not found"
    creating = said(phase="Pending", containerStatuses=[{"state": {"waiting": {"reason": "ContainerCreating"}}}])
    assert not is_stuck(creating)
    assert why_it_waits(creating) == ""


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        ({"reason": "DeadlineExceeded", "message": "too long"}, DeadlineExceeded, "DeadlineExceeded; too long"),
        ({"reason": "Evicted", "message": "low on space"}, DriverError, "Evicted; low on space"),
        (
            {"containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]},
            DriverError,
            "OOMKilled",
        ),
        ({"containerStatuses": [{"state": {"terminated": {"exitCode": 1}}}]}, DriverError, "code 1"),
        ({}, DriverError, "code ?"),
    ],
)
def test_how_it_ended_is_said(status: dict[str, Any], kind: type[Exception], words: str) -> None:
    error = how_it_ended(HUB, said(phase="Failed", **status), "")
    assert type(error) is kind
    assert error.message.endswith(f"without an answer: {words}")


def test_what_its_program_said_last_is_said_too() -> None:
    ended = said(phase="Failed", containerStatuses=[{"state": {"terminated": {"reason": "Error", "exitCode": 1}}}])
    error = how_it_ended(HUB, ended, "Traceback\nModuleNotFoundError: No module named 'structlog'\n")
    assert error.message.endswith("Error; ModuleNotFoundError: No module named 'structlog'")
