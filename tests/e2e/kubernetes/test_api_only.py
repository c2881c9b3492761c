"""A cluster without nodes: accounts and rules are real, without root."""

from __future__ import annotations

import pytest

from tests.e2e.kubernetes.conftest import new_namespace
from tests.support.federation import until
from tests.testbed.api import Api, Object, Refused
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster

pytestmark = pytest.mark.timeout(BUILT_S)

RULES = "/apis/rbac.authorization.k8s.io/v1"


def account_that_reads_settings(cluster: Cluster, namespace: str) -> Api:
    """A service account that may read config maps of its namespace, and nothing else."""
    api, here = cluster.api, f"namespaces/{namespace}"
    api.create(f"/api/v1/{here}/serviceaccounts", {"metadata": {"name": "reader"}})
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    api.create(f"{RULES}/{here}/roles", {"metadata": {"name": "reads"}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    binding: Object = {"metadata": {"name": "reads"}, "roleRef": role, "subjects": [subject]}
    api.create(f"{RULES}/{here}/rolebindings", binding)
    issued = api.create(f"/api/v1/{here}/serviceaccounts/reader/token", {"spec": {"expirationSeconds": 3600}})
    return cluster.control.api_as(issued["status"]["token"])


def test_an_account_may_do_what_its_role_says_and_nothing_else(api_only: Cluster) -> None:
    own, other = new_namespace(api_only.api), new_namespace(api_only.api)
    api_only.api.create(f"/api/v1/namespaces/{own}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "b"}})
    reader = account_that_reads_settings(api_only, own)
    until(lambda: allowed(reader, own), "the rule is in force", 10)
    assert reader.get(f"/api/v1/namespaces/{own}/configmaps/settings")["data"] == {"a": "b"}
    for path in (f"{own}/secrets", f"{own}/pods", f"{other}/configmaps"):
        with pytest.raises(Refused) as refused:
            reader.items(f"/api/v1/namespaces/{path}")
        assert refused.value.status == 403
        assert f"system:serviceaccount:{own}:reader" in str(refused.value)


def allowed(reader: Api, namespace: str) -> bool:
    body = {"spec": {"resourceAttributes": {"namespace": namespace, "verb": "list", "resource": "configmaps"}}}
    return bool(reader.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)["status"]["allowed"])


def test_a_namespace_goes_with_what_is_in_it(api_only: Cluster) -> None:
    name = new_namespace(api_only.api)
    api_only.api.create(f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "settings"}})
    api_only.api.delete(f"/api/v1/namespaces/{name}")
    until(lambda: name not in namespaces(api_only.api), "the namespace is gone", 30, api_only.daemons.logs)
    with pytest.raises(Refused) as refused:
        api_only.api.get(f"/api/v1/namespaces/{name}/configmaps/settings")
    assert refused.value.status == 404


def namespaces(api: Api) -> list[str]:
    return [row["metadata"]["name"] for row in api.items("/api/v1/namespaces")]


def test_a_stranger_is_refused(api_only: Cluster) -> None:
    with pytest.raises(Refused) as refused:
        api_only.control.api_as("guessed").items("/api/v1/namespaces")
    assert refused.value.status == 401


def test_an_api_server_that_was_killed_comes_back_with_what_it_knew(api_only: Cluster) -> None:
    name = new_namespace(api_only.api)
    api_only.daemons.kill("kube-apiserver")
    assert not api_only.api.answers()
    api_only.daemons.again("kube-apiserver")
    api_only.control.wait()
    assert name in namespaces(api_only.api)
