"""A cluster with a node: real pods from an image that was made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.kubernetes.conftest import Sites, new_namespace
from tests.support.federation import until
from tests.testbed import pods
from tests.testbed.api import Object, Refused
from tests.testbed.binaries import BUILT_S
from tests.testbed.machine import Machine
from tests.testbed.pods import pod

pytestmark = pytest.mark.timeout(BUILT_S)

OOM_EXIT = 128 + 9


def test_a_pod_runs_and_its_output_can_be_read(sites: Sites) -> None:
    namespace = new_namespace(sites.iu.api)
    said = pods.run(sites.iu.api, namespace, pod("hello", "echo hello from $(hostname)"))
    assert said == "hello from hello\n"


def test_who_needs_more_memory_than_its_limit_is_killed(sites: Sites) -> None:
    api, namespace = sites.iu.api, new_namespace(sites.iu.api)
    limits = {"resources": {"limits": {"memory": "32Mi"}}}
    path = pods.start(api, namespace, pod("greedy", "tail /dev/zero", container=limits))
    ended = pods.wait(api, path, "Failed")["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", OOM_EXIT)


def test_a_pod_finds_a_service_by_its_name(sites: Sites) -> None:
    api, namespace = sites.iu.api, new_namespace(sites.iu.api)
    serving = "mkdir /tmp/www && echo from the other pod > /tmp/www/index.html && httpd -f -p 8080 -h /tmp/www"
    probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
    service: Object = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    api.create(f"/api/v1/namespaces/{namespace}/services", service)
    path = pods.start(api, namespace, pod("server", serving, container=probe))
    until(
        lambda: bool(_addresses(sites, namespace)),
        "the service has an address behind it",
        60,
        lambda: str(api.get(path)),
    )
    name = f"http://web.{namespace}.svc.cluster.local"  # the node's rules follow its addresses a moment later
    asking = f"for n in $(seq 9); do timeout 2 wget -q -O - {name} && exit; sleep 1; done; exit 1"
    assert pods.run(api, namespace, pod("client", asking)) == "from the other pod\n"


def _addresses(sites: Sites, namespace: str) -> list[str]:
    slices = sites.iu.api.items(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
    ends = [end for row in slices for end in row["endpoints"] or []]
    return [address for end in ends if end["conditions"]["ready"] for address in end["addresses"]]


def test_a_claim_keeps_what_a_pod_that_is_not_root_wrote(sites: Sites) -> None:
    api, namespace = sites.iu.api, new_namespace(sites.iu.api)
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    api.create(claim, {"metadata": {"name": "home"}, "spec": wish})
    student = {"securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 100}}
    volume = {"volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]}
    mount = {"container": {"volumeMounts": [{"name": "home", "mountPath": "/home/student"}]}}
    written = pods.run(
        api, namespace, pod("writes", "id -u; echo done > /home/student/notes", **student, **volume, **mount)
    )
    assert written == "1000\n"
    assert pods.run(api, namespace, pod("reads", "cat /home/student/notes", **student, **volume, **mount)) == "done\n"
    name = api.get(f"{claim}/home")["spec"]["volumeName"]
    folder = Path(api.get(f"/api/v1/persistentvolumes/{name}")["spec"]["local"]["path"])
    assert (folder / "notes").read_text() == "done\n"
    for who in ("writes", "reads"):
        api.delete(f"/api/v1/namespaces/{namespace}/pods/{who}")
    api.delete(f"{claim}/home")
    until(lambda: not folder.exists() and _gone(sites, name), "the volume is gone with its claim", 60)


def _gone(sites: Sites, volume: str) -> bool:
    try:
        sites.iu.api.get(f"/api/v1/persistentvolumes/{volume}")
    except Refused as error:
        return error.status == 404
    return False


def test_the_machine_has_the_settings_that_it_had(sites: Sites) -> None:
    """While nodes are up, and a pod on each: cluster DNS."""
    now = Machine.now()
    assert now.settings == sites.before.settings
    assert now.places == sites.before.places
    assert now.mounts == sites.before.mounts
