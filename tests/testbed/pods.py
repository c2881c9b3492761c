"""Pods for tests: one container of the smallest image, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.testbed.api import Api, Object, Refused
from tests.testbed.images import BUSYBOX

LIMIT_S = 60.0


def pod(name: str, script: str, **spec: object) -> Object:
    """It runs a script of the shell, once; `spec` goes into the pod's, but `container` into its container's."""
    container: object = spec.pop("container", {})
    assert isinstance(container, dict)
    main = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script]}
    ends = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [main | container]}
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": ends | spec}


def start(api: Api, namespace: str, body: Object) -> str:
    """The path of the new pod. The account that it runs as comes with its namespace, but a moment later."""
    _until(lambda: _has_account(api, namespace), f"{namespace} has an account for pods", lambda: "")
    api.create(f"/api/v1/namespaces/{namespace}/pods", body)
    return f"/api/v1/namespaces/{namespace}/pods/{body['metadata']['name']}"


def wait(api: Api, path: str, *phases: str) -> Object:
    """The status of its container in one of these phases."""
    _until(
        lambda: _phase(api, path) in phases, f"{path} is {' or '.join(phases)}", lambda: str(api.get(path)["status"])
    )
    status: Object = api.get(path)["status"]["containerStatuses"][0]
    return status


def run(api: Api, namespace: str, body: Object) -> str:
    """What it printed; it must succeed."""
    path = start(api, namespace, body)
    status = wait(api, path, "Succeeded", "Failed")
    said = api.text(f"{path}/log")
    assert status["state"]["terminated"]["exitCode"] == 0, f"{status}\n{said}"
    return said


def _phase(api: Api, path: str) -> str:
    phase: str = api.get(path)["status"]["phase"]
    return phase


def _has_account(api: Api, namespace: str) -> bool:
    try:
        api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
    except Refused as error:
        if error.status != 404:
            raise
        return False
    return True


def _until(true: Callable[[], bool], what: str, explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline, f"not within {LIMIT_S:g} s: {what}\n{explain()}"
        time.sleep(0.1)
