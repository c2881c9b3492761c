"""Which charts a site file asks for, and what each is given."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from federation.core.chart_values.table import merged
from federation.model.site_prepare import Prepare, PreparedIngress, PreparedStorage, Rook
from federation.model.upstream_charts import PinnedChart, UpstreamCharts

OPERATOR, DRIVERS, CEPH = "rook-ceph", "ceph-csi-drivers", "rook-ceph-cluster"
TRAEFIK, CERT_MANAGER = "traefik", "cert-manager"
CEPH_DISKS = 3  # as many as there are copies
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Component:
    """What stands or falls together. `at`: where the site file asks for it. `crd`: that nobody else may have brought."""

    at: str
    charts: tuple[str, ...]
    crd: str = ""


STORAGE = Component("spec.prepare.storage", (OPERATOR, DRIVERS, CEPH), "cephclusters.ceph.rook.io")
INGRESS = Component("spec.prepare.ingress", (TRAEFIK,))
CERTIFICATES = Component("spec.prepare.cert_manager", (CERT_MANAGER,), "certificates.cert-manager.io")


def components(prepare: Prepare) -> tuple[Component, ...]:
    """Those that are asked for, in the order in which they are installed."""
    asked = {
        STORAGE: prepare.storage is PreparedStorage.ROOK,
        INGRESS: prepare.ingress is PreparedIngress.TRAEFIK,
        CERTIFICATES: prepare.cert_manager,
    }
    return tuple(component for component, wanted in asked.items() if wanted)


def pinned(prepare: Prepare, pins: UpstreamCharts, name: str) -> PinnedChart:
    """The chart, with the digest that the site file says instead."""
    chart = pins.named(name)
    if chart is None or chart.namespace is None:
        raise ValueError(f"the list of upstream charts has no {name} to prepare a site with")
    digest = prepare.digests.get(name)
    return chart if digest is None else chart.revise(digest=digest, digest_from="the site file")


def values_of(prepare: Prepare, chart: PinnedChart, *, default_class: bool) -> Values:
    """Ours, what the site file says of rook, and its own values last. `default_class`: whether ours may be it."""
    values: Values = dict(chart.values)
    if chart.name == DRIVERS and prepare.rook.file_system:
        values = merged(values, {"drivers": {"cephfs": {"enabled": True}}})
    if chart.name == CEPH:
        values = _ceph(values, prepare.rook, default_class=default_class)
    return merged(values, prepare.values.get(chart.name, {}))


def mark_of(chart: PinnedChart, values: Values) -> str:
    """What a release of these bytes with these values is described by, so that it is known again."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return f"hubfed {hashlib.sha256(f'{chart.digest}{text}'.encode()).hexdigest()[:24]}"


def values_digest(values: Values) -> str:
    """Short, for people who compare two plans."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def _ceph(values: Values, rook: Rook, *, default_class: bool) -> Values:
    if default_class:
        [pool] = values["cephBlockPools"]
        values = values | {"cephBlockPools": [merged(pool, {"storageClass": {"isDefault": True}})]}
    if rook.file_system:
        values = values | {"cephFileSystems": [_file_system(values)]}
    return merged(values, {"cephClusterSpec": {"storage": _disks(rook)}})


def _disks(rook: Rook) -> Values:
    """Where Ceph is allowed to be is said by its placement: all nodes of it are asked for unused disks."""
    if rook.volume_class is None or rook.volume_size is None:
        return {"useAllNodes": True, "useAllDevices": True}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "storageClassName": rook.volume_class,
            "volumeMode": "Block",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": str(rook.volume_size)}},
        },
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["rook-ceph-osd"]}]},
    }
    disks = {
        "name": "volumes", "count": CEPH_DISKS, "portable": True, "volumeClaimTemplates": [claim],
        "placement": {"topologySpreadConstraints": [spread]},
    }  # fmt: skip
    return {"useAllNodes": False, "useAllDevices": False, "storageClassDeviceSets": [disks]}


def _file_system(values: Values) -> Values:
    """Beside the pool of volumes, and as that is: three copies, each on another node."""
    [pool] = values["cephBlockPools"]
    of_volumes = pool["storageClass"]["parameters"].items()
    kept = {key: said for key, said in of_volumes if key.startswith("csi.") and "controller-publish" not in key}
    parameters = {key: said.replace("rook-csi-rbd", "rook-csi-cephfs") for key, said in kept.items()}
    copies = pool["spec"]
    return {
        "name": "ceph-filesystem",
        "spec": {
            "metadataPool": copies,
            "dataPools": [{"name": "data0", **copies}],
            "metadataServer": {"activeCount": 1, "activeStandby": True},
        },
        "storageClass": {
            "enabled": True,
            "isDefault": False,
            "name": "ceph-filesystem",
            "pool": "data0",
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
            "parameters": parameters,
        },
    }
