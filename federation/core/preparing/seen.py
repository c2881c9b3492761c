"""What of a cluster, and of the folder of charts, decides how it is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ReleaseSeen:
    """The last revision of a Helm release. `chart` is name-version."""

    status: str
    chart: str
    description: str
    unfinished: bool = False

    @property
    def deployed(self) -> bool:
        return self.status == "deployed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chart goes. `ours`: its namespace is marked as prepared by this site. `unready`: what of the release is not
    up yet, in words."""

    ours: bool = False
    release: ReleaseSeen | None = None
    unready: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassSeen:
    """A storage class or an ingress class. `by`: what makes it so. `release`: namespace/name of the Helm release that it is
    of; empty: of none."""

    name: str
    by: str = ""
    default: bool = False
    release: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveSeen:
    """What the folder of charts has. `trouble`: why it cannot be used, and then the rest is empty."""

    digest: str = ""
    version: str = ""
    kubernetes: str = ""  # that it asks for
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """Of the account that prepares, as Kubernetes counts rights. `group` empty: the core's."""

    verb: str
    resource: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """One look. `missing`: rights without which it could not be looked at; then nothing else is known. `lacking`: those
    that only changes need. `crds`: custom resource definitions with the namespace/name of the release that they are of.
    `hubs`: how many classes are in the cluster."""

    kubernetes: str = ""
    missing: tuple[Right, ...] = ()
    lacking: tuple[Right, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)  # by chart
    storage: tuple[ClassSeen, ...] = ()
    ingress: tuple[ClassSeen, ...] = ()
    crds: Mapping[str, str] = field(default_factory=dict)
    storage_nodes: tuple[str, ...] = ()  # labelled, and they take pods
    archives: Mapping[str, ArchiveSeen] = field(default_factory=dict)  # by chart
    hubs: int = 0


_CRDS, _RBAC, _STORAGE = "apiextensions.k8s.io", "rbac.authorization.k8s.io", "storage.k8s.io"
LOOKING = (
    Right("list", "nodes"),
    Right("list", "namespaces"),
    Right("get", "namespaces"),
    Right("list", "secrets"),  # Helm keeps its releases there
    Right("list", "storageclasses", _STORAGE),
    Right("list", "ingressclasses", "networking.k8s.io"),
    Right("list", "customresourcedefinitions", _CRDS),
    *(Right("list", kind, "apps") for kind in ("deployments", "statefulsets", "daemonsets")),
)
CHANGING = (
    Right("patch", "namespaces"),
    *(Right(verb, "secrets") for verb in ("create", "update", "delete")),
    *(Right("create", kind) for kind in ("configmaps", "services", "serviceaccounts")),
    *(Right("create", kind, "apps") for kind in ("deployments", "daemonsets")),
    Right("create", "customresourcedefinitions", _CRDS),
    Right("create", "storageclasses", _STORAGE),
    Right("create", "ingressclasses", "networking.k8s.io"),
    Right("create", "validatingwebhookconfigurations", "admissionregistration.k8s.io"),
    *(Right("create", kind, _RBAC) for kind in ("roles", "rolebindings", "clusterroles", "clusterrolebindings")),
    # charts give their programs rights that the account itself has not
    *(Right(verb, kind, _RBAC) for verb in ("escalate", "bind") for kind in ("roles", "clusterroles")),
)
