"""What of a chart is up, and which archive is the pinned one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from agents.drivers.kubernetes.installed import definitions_in, lacks, value_at
from agents.drivers.kubernetes.preparing_look import Look, archive_of, release_of, takes_storage
from federation.model.errors import InvalidRequest
from federation.model.upstream_charts import PinnedChart, ReadyWhen
from tests.support.chart_repository import digest, packed

CONTENT = packed("traefik", "41.6.0", {"Chart.yaml": "{name: traefik, version: 41.6.0, kubeVersion: '>=1.25.0-0'}"})
READY: dict[str, Any] = {"type": "Ready", "status": "True"}


def pinned(content: bytes | None = CONTENT) -> PinnedChart:
    known = {"digest": digest(content), "digest_from": "a test"} if content is not None else {}
    return PinnedChart.model_validate(
        {"name": "traefik", "repository": "https://x", "version": "41.6.0", "why": "x", "tried": "no", **known}
    )  # fmt: skip


def workload(wanted: int, updated: int, ready: int, seen: int = 2, **more: Any) -> dict[str, Any]:
    status = {"updatedReplicas": updated, "readyReplicas": ready, "observedGeneration": seen, **more}
    return {"metadata": {"name": "t", "generation": 2}, "spec": {"replicas": wanted}, "status": status}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (workload(2, 2, 2), ""),
        (workload(0, 0, 0), ""),
        (workload(2, 2, 1), "Deployment t: 1 of 2 are up"),
        (workload(2, 1, 2), "Deployment t: 1 of 2 are up"),
        (workload(2, 2, 2, seen=1), "Deployment t: 2 of 2 are up"),
        (
            workload(1, 0, 0, conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]),
            "Deployment t: 0 of 1 are up (exceeded quota)",
        ),
    ],
)
def test_a_workload_is_up_when_its_newest_description_is(found: dict[str, Any], says: str) -> None:
    assert lacks("Deployment", found) == says


def test_a_daemon_set_is_up_on_every_node_that_it_is_for() -> None:
    status = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 2, "observedGeneration": 1}
    found = {"metadata": {"name": "t", "generation": 1}, "spec": {}, "status": status}
    assert lacks("DaemonSet", found) == "DaemonSet t: 2 of 3 are up"
    assert lacks("DaemonSet", {**found, "status": {**status, "numberReady": 3}}) == ""


@pytest.mark.parametrize(
    ("found", "value"),
    [(None, ""), ({}, ""), ({"status": None}, ""), ({"status": {"phase": "Ready"}}, "Ready"), ({"status": "x"}, "")],
)
def test_what_a_field_says(found: dict[str, Any] | None, value: str) -> None:
    assert value_at(found, ReadyWhen(path="/x", field="status.phase", value="Ready")) == value


def test_the_pinned_archive_is_found_by_its_bytes_whatever_it_is_called(tmp_path: Path) -> None:
    look = Look("iu", cast(Any, None), cast(Any, None), tmp_path)
    assert look._archive(pinned()).trouble == f"traefik-41.6.0.tgz is not in {tmp_path}"
    (tmp_path / "traefik-41.6.0.tgz").write_bytes(packed("traefik", "41.6.0"))
    assert f"wanted is {digest(CONTENT)}" in look._archive(pinned()).trouble
    (tmp_path / "traefik-9.tgz").write_bytes(CONTENT)
    found = look._archive(pinned())
    assert (found.trouble, found.version, found.kubernetes) == ("", "41.6.0", ">=1.25.0-0")
    assert archive_of(tmp_path, pinned()) == tmp_path / "traefik-9.tgz"
    assert "no digest is pinned" in look._archive(pinned(None)).trouble
    with pytest.raises(InvalidRequest, match="of the pinned digest is not in"):
        archive_of(tmp_path, pinned(b"other"))


def test_whose_an_object_is() -> None:
    notes = {"meta.helm.sh/release-name": "traefik", "meta.helm.sh/release-namespace": "kube-system"}
    assert release_of({"metadata": {"annotations": notes}}) == "kube-system/traefik"
    assert release_of({"metadata": {}}) == ""
    assert definitions_in([{"kind": "CustomResourceDefinition", "metadata": {"name": "a"}}, {"kind": "Role"}]) == ("a",)


@pytest.mark.parametrize(
    ("spec", "takes"),
    [
        ({}, True),
        ({"unschedulable": True}, False),
        ({"taints": [{"key": "hubfed.io/storage", "effect": "NoSchedule"}]}, True),
        ({"taints": [{"key": "other", "effect": "NoSchedule"}]}, False),
    ],
)
def test_which_nodes_take_storage(spec: dict[str, Any], takes: bool) -> None:
    assert takes_storage({"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": [READY]}}) is takes
