"""Accounts of a cluster with the rights that `configs/kubernetes` gives them, and no others."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import credentials
from tests.testbed.cluster import Cluster

CONFIGS = Path(__file__).resolve().parents[2] / "configs/kubernetes"
WITHIN_S = 20.0


def account(cluster: Cluster, name: str, folder: Path) -> Path:
    """The kubeconfig of `agent` or `fencer`, in the folder, with its token in a file beside it. Made if need be."""
    path = folder / f"{name}.kubeconfig"
    if path.exists():
        return path
    api = cluster.api
    for body in yaml.safe_load_all((CONFIGS / f"{name}.yaml").read_text()):
        api.apply(path_of(body), body)
    deadline = time.monotonic() + WITHIN_S
    while not (token := api.get(f"/api/v1/namespaces/hubfed/secrets/fed-{name}").get("data", {}).get("token")):
        assert time.monotonic() < deadline, f"no controller has made a token of fed-{name} within {WITHIN_S:g} s"
        time.sleep(0.1)
    (folder / f"{name}.token").write_bytes(base64.b64decode(token))
    content = yaml.safe_load(cluster.control.files.kubeconfig(credentials.ADMIN).read_text())
    content["users"][0]["user"] = {"tokenFile": f"{name}.token"}
    path.write_text(yaml.safe_dump(content))
    return path


def path_of(body: dict[str, Any]) -> str:
    """Where an object is in the API. The kind's plural has an s and nothing else."""
    meta, group = body["metadata"], body["apiVersion"]
    base = f"/apis/{group}" if "/" in group else f"/api/{group}"
    below = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
    return f"{base}{below}/{body['kind'].lower()}s/{meta['name']}"
