"""Volumes for the claims of a cluster with one node: a folder for each, gone with its claim.

    python -m tests.testbed.provisioner KUBECONFIG FOLDER NODE
`local` volumes, which obey a pod's fsGroup as those of a real site do; on `hostPath` volumes whoever is not root could not
write. Sizes are not enforced.
"""

from __future__ import annotations

import shutil
import sys
import time
from http.client import HTTPException
from pathlib import Path

from tests.testbed.api import Api, Object, Refused
from tests.testbed.credentials import client

PROVISIONER = "hubfed.testbed/local"
CHOSEN = "volume.kubernetes.io/selected-node"
MADE_BY = "pv.kubernetes.io/provisioned-by"
LOOK_S = 0.3
CONFLICT = 409


def tend(api: Api, folder: Path, node: str) -> None:
    """One look: make what claims wait for, remove what was released."""
    classes = {row["metadata"]["name"]: row for row in api.items("/apis/storage.k8s.io/v1/storageclasses")}
    own = {name: row for name, row in classes.items() if row["provisioner"] == PROVISIONER}
    for claim in api.items("/api/v1/persistentvolumeclaims"):
        storage = own.get(claim["spec"].get("storageClassName", ""))
        if storage and _waits(claim, storage):
            _make(api, claim, storage, folder, node)
    for volume in api.items("/api/v1/persistentvolumes"):
        spec = volume["spec"]
        released = volume["status"].get("phase") == "Released" and spec["persistentVolumeReclaimPolicy"] == "Delete"
        if released and spec.get("storageClassName") in own:
            shutil.rmtree(spec["local"]["path"], ignore_errors=True)
            api.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")


def _waits(claim: Object, storage: Object) -> bool:
    later = storage.get("volumeBindingMode") == "WaitForFirstConsumer"
    chosen = CHOSEN in claim["metadata"].get("annotations", {})
    unbound = not claim["spec"].get("volumeName") and claim["status"].get("phase") == "Pending"
    return unbound and (chosen or not later)


def _make(api: Api, claim: Object, storage: Object, folder: Path, node: str) -> None:
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    path = folder / name
    path.mkdir(exist_ok=True)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
    body: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {MADE_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
            "local": {"path": str(path)},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
    try:
        api.create("/api/v1/persistentvolumes", body)
    except Refused as error:
        if error.status != CONFLICT:  # made at an earlier look, and the controller has not bound it yet
            raise


def main(kubeconfig: Path, folder: Path, node: str) -> None:
    api = client(kubeconfig)
    while True:
        try:
            tend(api, folder, node)
        except (OSError, HTTPException, Refused) as error:  # an API server that is away comes back
            print(error, flush=True)
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
