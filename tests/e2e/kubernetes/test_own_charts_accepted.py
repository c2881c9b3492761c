"""A real API server takes all that our charts make, and knows every field of it."""

from __future__ import annotations

import pytest

from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.own_charts import Case, Object, cases

pytestmark = pytest.mark.timeout(BUILT_S)

PLURALS = {"NetworkPolicy": "networkpolicies"}
EVERYWHERE = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
APPLY = "application/apply-patch+yaml"


def path_of(body: Object) -> str:
    """In a namespace that is there: nothing is kept."""
    group, kind = body["apiVersion"], body["kind"]
    base = f"/apis/{group}" if "/" in group else f"/api/{group}"
    below = "" if kind in EVERYWHERE else "/namespaces/default"
    return f"{base}{below}/{PLURALS.get(kind, kind.lower() + 's')}/{body['metadata']['name']}"


@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_object_is_taken(api_only: Cluster, case: Case) -> None:
    for body in case.objects():
        if body["kind"] not in EVERYWHERE:
            body["metadata"]["namespace"] = "default"
        strictly = {"dryRun": "All", "fieldValidation": "Strict", "fieldManager": "test"}
        api_only.api.call("PATCH", path_of(body), body, APPLY, **strictly)
