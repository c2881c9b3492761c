"""Ends hubs on one node of a cluster, also when its API server is dead: SIGKILL to every process of their pods.

Which pods are here, and of which hub, is read where the kubelet keeps their logs, /var/log/pods/<namespace>_<name>_<uid>;
what runs of a pod is in the control group that carries its uid. The kubelet starts containers again, so that it is done
again at each look. Standard library alone; needs the machine's process ids and the rights to end them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents.drivers.kubernetes.marks import HOMES_POD
from agents.drivers.stopper import Running
from federation.core.fencing import Verdict
from federation.model.errors import DriverError
from federation.runtime.process_table import ProcessId, ProcessTable

PRESS_NS = 200_000_000
POD_LOGS = Path("/var/log/pods")
CGROUPS = Path("/sys/fs/cgroup")
TICKS = os.sysconf("SC_CLK_TCK")
SECOND_NS = 1_000_000_000
TREES = ("", "pids", "memory")  # of control groups; "" where there is only the unified one
DEPTH = 6  # a pod's group lies below those of the kubelet and of its class of service


@dataclass(slots=True)
class NodeStopper:
    """The Stopper of a node. Where nothing was ever heard of the agent it ends nothing: which namespaces are hubs is not
    written on a node. `edge` is the namespace of the site's edge."""

    edge: str
    pods: Path = POD_LOGS
    groups: Path = CGROUPS
    table: ProcessTable = field(default_factory=ProcessTable)

    @property
    def press_ns(self) -> int:
        return PRESS_NS

    def trouble(self) -> str:
        return "" if self.pods.is_dir() else f"{self.pods} is not there: which pods are here is not known"

    def look(self, verdict: Verdict) -> Running[ProcessId]:
        wanted = set(verdict.hubs) | ({self.edge} if verdict.edge_before is not None else set())
        uids = self._uids(wanted)
        members = self._members({uid for found in uids.values() for uid in found})
        living = {
            namespace: [who for uid in found for pid in members.get(uid, ()) if (who := self.table.identify(pid))]
            for namespace, found in uids.items()
        }
        before = verdict.edge_before or 0
        edge = [who for who in living.pop(self.edge, ()) if who.started * SECOND_NS // TICKS <= before]
        return Running({hub: found for hub, found in living.items() if found}, edge)

    def kill(self, hub: str, seen: Sequence[ProcessId]) -> None:  # noqa: ARG002 - pids say it all
        for who in seen:
            with suppress(DriverError):  # not ours to end: it is seen again, and said
                self.table.signal(who, signal.SIGKILL)

    def _uids(self, namespaces: set[str]) -> dict[str, set[str]]:
        """Namespace -> uids of its pods that were started on this node."""
        found: dict[str, set[str]] = {}
        with suppress(OSError):
            for name in os.listdir(self.pods):  # noqa: PTH208 - names are all that is wanted
                namespace, _, rest = name.partition("_")
                if namespace in namespaces and not rest.startswith(HOMES_POD):
                    found.setdefault(namespace, set()).add(rest.rpartition("_")[2])
        return found

    def _members(self, uids: set[str]) -> dict[str, set[int]]:
        """uid -> pids of everything in the pod's group and below it."""
        if not uids:
            return {}
        by_name = {name: uid for uid in uids for name in (f"pod{uid}", f"pod{uid.replace('-', '_')}.slice")}
        tree = next((self.groups / one for one in TREES if (self.groups / one / "cgroup.procs").exists()), self.groups)
        found: dict[str, set[int]] = {}
        for folder in _folders(tree, DEPTH):
            in_a_slice = f"pod{folder.name.rpartition('-pod')[2]}"  # kubepods-burstable-pod<uid>.slice
            uid = by_name.get(folder.name) or by_name.get(in_a_slice)
            if uid is not None:
                found.setdefault(uid, set()).update(_pids(folder))
        return found


def _folders(top: Path, depth: int) -> Iterator[Path]:
    """Itself and those below it, so deep."""
    yield top
    if depth:
        with suppress(OSError), os.scandir(top) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _folders(Path(entry.path), depth - 1)


def _pids(group: Path) -> set[int]:
    found: set[int] = set()
    for folder, _folders_below, _files in os.walk(group):
        with suppress(OSError):
            found.update(int(line) for line in Path(folder, "cgroup.procs").read_text(encoding="ascii").split())
    return found
