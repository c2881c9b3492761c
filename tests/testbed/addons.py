"""What a cluster with nodes has beside Kubernetes itself (`addons.yaml`), and the processes that make its volumes and
enforce its NetworkPolicies."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests.support.network import nft
from tests.testbed import credentials
from tests.testbed.api import Object
from tests.testbed.control_plane import ControlPlane

MANIFESTS = Path(__file__).with_name("addons.yaml")
READY_S = 90.0
ROOT = Path(__file__).resolve().parents[2]
PLURALS = {"StorageClass": "storageclasses"}  # the others take an s


def install(control: ControlPlane, node: str) -> None:
    """The objects, and what works for that node."""
    text = MANIFESTS.read_text().replace("DNS_ADDRESS", control.place.dns_service)
    for body in yaml.safe_load_all(text):
        control.api.apply(path_of(body), body)
    volumes = control.daemons.folder / "volumes"
    volumes.mkdir()
    kubeconfig = control.files.kubeconfig(credentials.ADMIN)
    python = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m"]
    control.daemons.start("provisioner", *python, "tests.testbed.provisioner", kubeconfig, volumes, node)
    control.daemons.start("policies", *python, "tests.testbed.policies", kubeconfig, nft())


def wait(control: ControlPlane) -> None:
    """Until names of services can be resolved."""

    def ready() -> bool:
        status = control.api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns").get("status", {})
        return bool(status.get("readyReplicas"))

    control.daemons.until(ready, "cluster DNS is ready", READY_S)


def path_of(body: Object) -> str:
    """Where the API server has it."""
    version, kind, metadata = body["apiVersion"], body["kind"], body["metadata"]
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{group}{place}/{PLURALS.get(kind, f'{kind.lower()}s')}/{metadata['name']}"
