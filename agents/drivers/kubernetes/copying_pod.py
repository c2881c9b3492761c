"""The short pod that saves or restores homes: what it is made of, and what became of it. Pure.

It sees the claims of one hub and the store of copies, and nothing else: no account of the cluster, no capability but those
that reading and giving away files of others takes, nothing it could write but those and an empty folder. Whoever looks for
it finds it by its labels; it is no part of the hub and is not counted as one (`census.py`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.drivers.kubernetes.census import STUCK, WORDS
from agents.drivers.kubernetes.home_claims import DATABASE
from agents.drivers.kubernetes.homes_order import KEYS, ORDER, ROOT, TRUSTED, WORK, HomesOrder
from agents.drivers.kubernetes.marks import COPIES, HUB, MANAGED_BY, OVER, SITE
from agents.drivers.kubernetes.node_room import STUDENTS
from agents.drivers.local.copy_store import S3
from federation.model.errors import DeadlineExceeded, DriverError, FederationError

Object = dict[str, Any]
CONTAINER = "homes"
PROGRAM = "fed-homes"
CORDONED = "node.kubernetes.io/unschedulable"
READ_AND_GIVE = ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
REQUESTS, LIMITS = {"cpu": "100m", "memory": "128Mi"}, {"memory": "2Gi"}
ENDS_S = 1
LONGEST = 400


@dataclass(frozen=True, slots=True)
class CopyingPod:
    """`claims`: home -> claim. `node` empty: any. `ends_after_s`: whatever happens, from when its node has it."""

    name: str
    image: str
    order: HomesOrder
    claims: Mapping[str, str]
    database: bool
    node: str
    ends_after_s: int

    @property
    def labels(self) -> Mapping[str, str]:
        order = self.order
        return {SITE: order.site, HUB: order.hub, COPIES: order.call.value, MANAGED_BY: "hubfed"}

    def secret(self, keys: bytes | None, trusted: bytes | None) -> Object:
        """The order, with what it takes to read the store: a file that the pod alone sees."""
        content = {ORDER: self.order.model_dump_json().encode(), KEYS: keys, TRUSTED: trusted}
        data = {name: base64.b64encode(file).decode() for name, file in content.items() if file is not None}
        metadata = {"name": self.name, "labels": dict(self.labels)}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}

    def body(self) -> Object:
        """To be created."""
        container: Object = {
            "name": CONTAINER,
            "image": self.image,
            "command": [PROGRAM, "--order", str(ROOT / "order" / ORDER)],
            "env": [{"name": "HOME", "value": str(ROOT / WORK)}, {"name": "TMPDIR", "value": str(ROOT / WORK)}],
            "resources": {"requests": REQUESTS, "limits": LIMITS},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": READ_AND_GIVE},
            },
            "volumeMounts": list(self._mounts()),
        }
        spec: Object = {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": self.ends_after_s,
            "terminationGracePeriodSeconds": ENDS_S,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # no fsGroup: it would give every file another group, each time
            "securityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": list(self._tolerations()),
            "volumes": list(self._volumes()),
            "containers": [container],
        }
        if self.node:
            here = {"key": "metadata.name", "operator": "In", "values": [self.node]}
            must = {"nodeSelectorTerms": [{"matchFields": [here]}]}
            spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": must}}
        metadata = {"name": self.name, "labels": dict(self.labels)}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def _tolerations(self) -> Iterator[Object]:
        keys = (*STUDENTS, CORDONED) if self.node else STUDENTS  # homes in use on a node that empties are there
        for key in keys:
            yield {"key": key, "operator": "Exists", "effect": "NoSchedule"}

    def _volumes(self) -> Iterator[Object]:
        yield {"name": WORK, "emptyDir": {}}
        yield {"name": "order", "secret": {"secretName": self.name, "defaultMode": 0o400}}
        if not self.order.store.startswith(S3):
            yield {"name": "store", "hostPath": {"path": self.order.store, "type": "Directory"}}
        if self.database:
            yield {"name": "database", "persistentVolumeClaim": {"claimName": DATABASE}}
        for number, claim in enumerate(self.claims.values()):
            yield {"name": f"home-{number}", "persistentVolumeClaim": {"claimName": claim}}

    def _mounts(self) -> Iterator[Object]:
        yield {"name": WORK, "mountPath": str(ROOT / WORK)}
        yield {"name": "order", "mountPath": str(ROOT / "order"), "readOnly": True}
        if not self.order.store.startswith(S3):
            yield {"name": "store", "mountPath": self.order.store}
        if self.database:
            yield {"name": "database", "mountPath": str(self.order.hub_dir())}
        for number, home in enumerate(self.claims):
            yield {"name": f"home-{number}", "mountPath": str(self.order.tree() / home)}


def is_over(pod: Object) -> bool:
    """Whether it has ended, well or not."""
    return (pod.get("status") or {}).get("phase") in OVER


def has_begun(pod: Object) -> bool:
    """Whether its program runs, or ran."""
    return is_over(pod) or (pod.get("status") or {}).get("phase") == "Running"


def why_it_waits(pod: Object) -> str:
    """In Kubernetes' and our words; empty: nothing is known to be wrong."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"no node takes it: {condition.get('message', condition.get('reason', ''))}"
    waiting = _waiting(pod)
    reason = waiting.get("reason", "")
    if not is_stuck(pod):
        return ""
    return f"{WORDS.get(reason, 'it cannot be started')} ({reason}): {waiting.get('message', '')}"


def is_stuck(pod: Object) -> bool:
    """Whether Kubernetes has tried to start it and could not."""
    return _waiting(pod).get("reason", "") in STUCK


def how_it_ended(hub: str, pod: Object, log: str) -> FederationError:
    """Of one that has ended without an answer; its last line tells most."""
    status = pod.get("status") or {}
    said = [str(status.get(part) or "") for part in ("reason", "message")]
    ended = next((one.get("state", {}).get("terminated") or {} for one in status.get("containerStatuses") or ()), {})
    said += [str(ended.get(part) or "") for part in ("reason", "message")]
    said += log.strip().splitlines()[-1:]
    words = "; ".join(dict.fromkeys(word for word in said if word)) or f"code {ended.get('exitCode', '?')}"
    what = f"{hub}: the pod that works on its homes ended without an answer: {words[:LONGEST]}"
    return DeadlineExceeded(what) if status.get("reason") == "DeadlineExceeded" else DriverError(what, delay_s=30.0)


def _waiting(pod: Object) -> Mapping[str, Any]:
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return next(((one.get("state") or {}).get("waiting") or {} for one in containers), {})
