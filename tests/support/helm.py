"""Helm for tests: the chart `tests/charts/tiny`, objects for its value `more`, and a site whose releases are looked at."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.kubernetes.api import Api as AgentApi
from agents.drivers.kubernetes.release_records import ReleaseRecords
from agents.drivers.kubernetes.releases import MARK, Releases
from federation.runtime.clock import SystemClock
from federation.runtime.processes import Found, SystemProcesses
from tests.support.federation import ROOT, until
from tests.testbed import binaries
from tests.testbed.api import Object, Refused
from tests.testbed.cluster import Cluster
from tests.testbed.credentials import ADMIN

TINY = ROOT / "tests/charts/tiny"
REFUSED: Object = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "refused"}, "spec": {"ports": [{"port": 0}]},
}  # fmt: skip
"""No server takes a service on port 0, and only a server knows that."""


def setting(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def claim(name: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def endless(hook: str) -> Object:
    """A job that never ends, for there are no nodes; Helm waits for it."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "never", "image": "never"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"endless-{hook}", "annotations": {"helm.sh/hook": hook}},
        "spec": {"template": {"spec": pod}},
    }


@dataclass(frozen=True, slots=True)
class HelmSite:
    """An agent's releases in one namespace of a cluster; `another()` is those of its next start. `api` is to be closed."""

    cluster: Cluster
    namespace: str
    folder: Path
    kubeconfig: Path
    api: AgentApi
    patience_s: float = 1.0

    @classmethod
    def of(cls, cluster: Cluster, namespace: str, folder: Path) -> HelmSite:
        kubeconfig = cluster.control.files.kubeconfig(ADMIN)
        return cls(cluster, namespace, folder, kubeconfig, AgentApi("iu", kubeconfig))

    def another(self) -> Releases:
        clock = SystemClock()
        return Releases(
            binaries.helm(), self.kubeconfig, ReleaseRecords(self.api), self.folder / "helm", SystemProcesses(clock),
            clock, self.marks, self.patience_s,
        )  # fmt: skip

    @property
    def marks(self) -> dict[str, str]:
        return {"HUBFED_DIR": str(self.folder)}

    def running(self) -> list[Found]:
        """Helms that change something."""
        every = SystemProcesses(SystemClock()).find(self.marks)
        return [found for found in every if MARK in found.marks]

    def wait_for_hook(self, hook: str) -> None:
        """Until Helm waits for it."""
        job = f"/apis/batch/v1/namespaces/{self.namespace}/jobs/endless-{hook}"
        until(lambda: self.at(job) is not None, f"the hook {hook} has begun")

    def statuses(self, name: str) -> list[str]:
        """Of its revisions, oldest first, as Helm's records in the namespace say."""
        every = self.cluster.api.items(self.path("secrets"), labelSelector=f"owner=helm,name={name}")
        labels = [row["metadata"]["labels"] for row in every]
        return [row["status"] for row in sorted(labels, key=lambda row: int(row["version"]))]

    def path(self, what: str, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/{what}" + (f"/{name}" if name else "")

    def found(self, what: str, name: str) -> Object | None:
        return self.at(self.path(what, name))

    def at(self, path: str) -> Object | None:
        with suppress(Refused):
            return self.cluster.api.get(path)
        return None

    def greeting(self, name: str) -> str:
        found = self.found("configmaps", name)
        assert found is not None
        said: str = found["data"]["greeting"]
        return said

    def claim_id(self, name: str) -> str:
        """Another one has another."""
        found = self.found("persistentvolumeclaims", name)
        assert found is not None, f"the claim {name} is gone"
        assert "deletionTimestamp" not in found["metadata"], f"the claim {name} goes"
        uid: str = found["metadata"]["uid"]
        return uid

    def by_hand(self, *words: object, values: Object | None = None) -> subprocess.Popen[bytes]:
        """What an admin types."""
        command = [
            binaries.helm(), *words, "--namespace", self.namespace, "--kubeconfig", self.kubeconfig, "--values", "-",
        ]  # fmt: skip
        running = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            env={"HOME": str(self.folder)},
            start_new_session=True,
        )
        assert running.stdin is not None
        running.stdin.write(json.dumps(values or {}).encode())
        running.stdin.close()
        return running
