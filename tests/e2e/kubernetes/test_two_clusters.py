"""Two clusters at once know nothing of each other, but their hosts can reach each other while the line is whole."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.kubernetes.conftest import Sites, new_namespace
from tests.testbed import pods
from tests.testbed.api import Refused
from tests.testbed.binaries import BUILT_S
from tests.testbed.pods import pod

pytestmark = pytest.mark.timeout(BUILT_S)


def test_each_has_its_own_objects_users_and_pods(sites: Sites) -> None:
    namespace = new_namespace(sites.iu.api)
    pods.run(sites.iu.api, namespace, pod("only-at-iu", "true"))
    with pytest.raises(Refused) as refused:
        sites.tacc.api.get(f"/api/v1/namespaces/{namespace}")
    assert refused.value.status == 404
    assert [row["metadata"]["name"] for row in sites.iu.api.items("/api/v1/nodes")] == ["iu"]
    assert [row["metadata"]["name"] for row in sites.tacc.api.items("/api/v1/nodes")] == ["tacc"]
    with pytest.raises(Refused) as refused:
        sites.tacc.control.api_as(sites.iu.api.token).items("/api/v1/nodes")
    assert refused.value.status == 401


def test_a_pod_reaches_the_other_site_until_the_line_is_cut(sites: Sites) -> None:
    namespace = new_namespace(sites.iu.api)
    there = sites.net.address("tacc")
    # nobody listens at this port: a host that is reached says so at once, one that is not says nothing
    script = f"timeout 1 wget -O - http://{there}:9 2>&1; echo ended with $?"
    assert "refused\nended with 1\n" in pods.run(sites.iu.api, namespace, pod("whole", script))
    with sites.net.cut(*sites.net.both_ways("iu")):
        said = pods.run(sites.iu.api, namespace, pod("cut", script))
    assert said.endswith(f"ended with {128 + signal.SIGTERM}\n"), said
