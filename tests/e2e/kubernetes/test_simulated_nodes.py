"""More nodes than this machine could have, on an API whose scheduler and controllers are real."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.kubernetes.conftest import new_namespace
from tests.testbed.api import Object
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.simulated import CHOOSE, simulated_nodes

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]
NODES, PODS = 100, 150


def test_pods_are_spread_over_simulated_nodes(api_only: Cluster) -> None:
    api, namespace = api_only.api, new_namespace(api_only.api)
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "20"}}}  # one fits on a node
    template = {"metadata": {"labels": {"app": "many"}}, "spec": {"containers": [container], **CHOOSE}}
    spec: Object = {"replicas": PODS, "selector": {"matchLabels": {"app": "many"}}, "template": template}
    with simulated_nodes(api_only, NODES) as names:
        api.create(deployments, {"metadata": {"name": "many"}, "spec": spec})

        def running() -> list[str]:
            pods = api.items(f"/api/v1/namespaces/{namespace}/pods")
            return [pod["spec"]["nodeName"] for pod in pods if pod["status"]["phase"] == "Running"]

        api_only.daemons.until(lambda: len(running()) >= NODES, "a pod runs on each node", 60)
        assert Counter(running()) == dict.fromkeys(names, 1), "the scheduler counts what fits"
        status = api.get(f"{deployments}/many")["status"]
        assert status["replicas"] == PODS
        api.delete(f"{deployments}/many", propagationPolicy="Background")
