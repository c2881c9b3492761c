"""What a cluster must leave as it found it: settings of the whole machine, and what Kubernetes has outside its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.network import NAMESPACES
from tests.testbed.control_groups import hierarchies
from tests.testbed.node_settings import SHADOWED

# where Kubernetes and containerd have things unless they are told otherwise
PLACES = (
    *("/run/containerd", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet"),
    *("/var/log/containers", "/var/log/pods"),
)
OTHERS = ("net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max")
MOUNTS = ("/proc/sys/", "/run/containerd", "/run/netns/cni-", "/var/lib", "/var/log")
GROUPS = re.compile("kube|k8s|containerd")
OURS = "hubfed"  # tests that run at the same time have things of that name; clusters are asked for theirs by name


@dataclass(frozen=True, slots=True)
class Machine:
    settings: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    mounts: tuple[str, ...]
    groups: tuple[str, ...]
    namespaces: tuple[str, ...]

    @classmethod
    def now(cls) -> Machine:
        settings = ((name, Path("/proc/sys") / name) for name in (*SHADOWED, *OTHERS))
        mounts = (row.split()[1] for row in Path("/proc/self/mounts").read_text().splitlines())
        groups = (path for root, _kind in hierarchies() for path in root.iterdir() if GROUPS.search(path.name))
        return cls(
            settings=tuple((name, path.read_text().strip()) for name, path in settings if path.exists()),
            places=tuple(place for place in PLACES if Path(place).exists()),
            mounts=tuple(sorted(point for point in mounts if point.startswith(MOUNTS))),
            groups=tuple(sorted(str(path) for path in groups if not path.name.startswith(OURS))),
            namespaces=tuple(sorted(path.name for path in NAMESPACES.glob("cni-*"))),
        )
