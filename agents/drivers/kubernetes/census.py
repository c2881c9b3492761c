"""What runs of a hub, as the pods of its namespace show it, and why what should run does not. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agents.drivers.kubernetes.marks import OVER, SERVER, part_of_hub
from federation.model.scalars import TESTER

Object = dict[str, Any]
HUB, PROXY, SERVERS = "hub", "proxy", "singleuser-server"  # the upstream chart's components
USERNAME = "hub.jupyter.org/username"
STUCK = (
    *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
    *("CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
)
WORDS = {
    "ErrImagePull": "its image cannot be pulled",
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImageNeverPull": "its image is not on the node and may not be pulled",
    "InvalidImageName": "its image has no valid name",
    "CrashLoopBackOff": "it ends soon after each start",
}


@dataclass(frozen=True, slots=True)
class Census:
    """One look at one namespace: every pod of the hub that is not over. `coming`: pods that something there is about to
    make, if there are none yet. `revision`: of the list; 0: not known."""

    pods: tuple[Object, ...]
    coming: int = 0
    revision: int = 0

    @classmethod
    def of(cls, found: Iterable[Object], revision: int = 0) -> Census:
        """Of all pods of the namespace. Those that pull images ahead are on every node whether the hub runs or not, and
        those that work on its homes do so also where it does not run."""
        return cls(tuple(pod for pod in living(found) if part_of_hub(pod["metadata"])), revision=revision)

    @property
    def count(self) -> int:
        """Of pods that run or will."""
        return len(self.pods) or self.coming

    def of_component(self, component: str) -> tuple[Object, ...]:
        return tuple(pod for pod in self.pods if _labels(pod).get("component") == component)

    def ready(self, component: str) -> bool:
        """Whether one that is not about to go says that it is ready."""
        staying = (pod for pod in self.of_component(component) if not pod["metadata"].get("deletionTimestamp"))
        return any(is_ready(pod) for pod in staying)

    @property
    def servers(self) -> Mapping[str, str]:
        """Pod -> the settings that this student's server was started with. A test server is no student's."""
        theirs = (pod for pod in self.of_component(SERVERS) if username(pod) != TESTER)
        return {pod["metadata"]["name"]: _labels(pod).get(SERVER, "") for pod in theirs}

    @property
    def used(self) -> int:
        """Another number when a student's server was started."""
        started = sorted(
            pod["metadata"].get("uid", "") for pod in self.of_component(SERVERS) if username(pod) != TESTER
        )
        return zlib.crc32(" ".join(started).encode())  # not hash(): a new agent must come to the same number

    def troubles(self) -> tuple[str, ...]:
        """Why hub or proxy do not run, in Kubernetes' and our words; empty: nothing is known to be wrong."""
        core = (*self.of_component(HUB), *self.of_component(PROXY))
        return tuple(f"{_labels(pod).get('component')}: {said}" for pod in core for said in troubles(pod))

    def cannot_start(self) -> bool:
        """Whether Kubernetes has tried and failed: waiting alone will not help."""
        core = (*self.of_component(HUB), *self.of_component(PROXY))
        return any(waiting.get("reason") in STUCK for pod in core for _, waiting, _ in _containers(pod))


def living(found: Iterable[Object]) -> Iterator[Object]:
    """Those that are not over."""
    return (pod for pod in found if (pod.get("status") or {}).get("phase") not in OVER)


def up_to_date(workload: Object) -> bool:
    """Whether Kubernetes has made of a Deployment what it says now: a pod that is ready may, for a moment, still be of what
    it said before."""
    status, wanted = workload.get("status") or {}, workload["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    return bool(seen and status.get("updatedReplicas", 0) == wanted == status.get("replicas", 0))


def username(pod: Object) -> str:
    """Whose server it is, as the hub writes it."""
    return str((pod["metadata"].get("annotations") or {}).get(USERNAME, ""))


def _labels(pod: Object) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def is_ready(pod: Object) -> bool:
    """Whether it says that it answers."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def troubles(pod: Object) -> Iterator[str]:
    """Why one pod does not run, in Kubernetes' and our words."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"no node takes it: {condition.get('message', condition.get('reason', ''))}"
    for name, waiting, ended in _containers(pod):
        reason = waiting.get("reason", "")
        if reason in STUCK:
            last = (ended.get("message") or ended.get("reason") or "").strip().splitlines()
            said = "; ".join(part for part in (waiting.get("message", ""), last[-1] if last else "") if part)
            yield f"{WORDS.get(reason, 'it cannot be started')} (container {name}, {reason}): {said}"[:400]


def _containers(pod: Object) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Name, why it waits, how it ended the last time."""
    status = pod.get("status") or {}
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (one.get("state") or {}).get("waiting") or {}
        yield one["name"], waiting, (one.get("lastState") or {}).get("terminated") or {}
