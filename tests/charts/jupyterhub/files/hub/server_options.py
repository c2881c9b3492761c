"""Options of students' servers: sizes, images, homes, and where their pods may run."""

from __future__ import annotations

import os
from typing import Any

from z2jh import get_config, set_config_if_not_none

PLAIN = {
    "allow_privilege_escalation": "allowPrivilegeEscalation",
    "cmd": "cmd",
    "cpu_guarantee": "cpu.guarantee",
    "cpu_limit": "cpu.limit",
    "default_url": "defaultUrl",
    "environment": "extraEnv",
    "events_enabled": "events",
    "extra_annotations": "extraAnnotations",
    "extra_containers": "extraContainers",
    "extra_labels": "extraLabels",
    "extra_pod_config": "extraPodConfig",
    "extra_resource_guarantees": "extraResource.guarantees",
    "extra_resource_limits": "extraResource.limits",
    "fs_gid": "fsGid",
    "image_pull_policy": "image.pullPolicy",
    "init_containers": "initContainers",
    "lifecycle_hooks": "lifecycleHooks",
    "mem_guarantee": "memory.guarantee",
    "mem_limit": "memory.limit",
    "node_affinity_preferred": "extraNodeAffinity.preferred",
    "node_affinity_required": "extraNodeAffinity.required",
    "node_selector": "nodeSelector",
    "pod_affinity_preferred": "extraPodAffinity.preferred",
    "pod_affinity_required": "extraPodAffinity.required",
    "pod_anti_affinity_preferred": "extraPodAntiAffinity.preferred",
    "pod_anti_affinity_required": "extraPodAntiAffinity.required",
    "pod_name_template": "podNameTemplate",
    "profile_list": "profileList",
    "service_account": "serviceAccountName",
    "start_timeout": "startTimeout",
    "storage_extra_labels": "storage.extraLabels",
    "uid": "uid",
}
"""Options of KubeSpawner, and where below `singleuser` their values are."""
HOMES = {
    "pvc_name_template": "pvcNameTemplate",
    "storage_access_modes": "storageAccessModes",
    "storage_class": "storageClass",
}
"""The same below `singleuser.storage.dynamic`."""
FOR_STUDENTS = {"matchExpressions": [{"key": "hub.jupyter.org/node-purpose", "operator": "In", "values": ["user"]}]}


def apply(c: Any) -> None:
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    spawner = c.KubeSpawner
    spawner.namespace = os.environ["POD_NAMESPACE"]
    spawner.slug_scheme = "safe"  # claims have the names that the upstream chart gives them
    spawner.common_labels = _labels()
    spawner.image = f"{get_config('singleuser.image.name')}:{get_config('singleuser.image.tag')}"
    for option, path in PLAIN.items():
        set_config_if_not_none(spawner, option, f"singleuser.{path}")
    set_config_if_not_none(spawner, "consecutive_failure_limit", "hub.consecutiveFailureLimit")
    spawner.image_pull_secrets = [
        *(get_config("imagePullSecrets") or []),
        *(get_config("singleuser.image.pullSecrets") or []),
    ]
    if get_config("debug.enabled"):
        spawner.debug = True
    _scheduling(spawner)
    _storage(spawner)


def _labels() -> dict[str, str]:
    release, chart = get_config("Release.Name"), get_config("Chart.Name")
    return {
        "app": chart,
        "release": release,
        "app.kubernetes.io/name": chart,
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/managed-by": "kubespawner",
    }


def _scheduling(spawner: Any) -> None:
    if get_config("scheduling.podPriority.enabled"):
        prefix = get_config("fullnameOverride")
        spawner.priority_class_name = prefix or f"{get_config('Release.Name')}-default-priority"
    tolerations = get_config("scheduling.userPods.tolerations") or []
    spawner.tolerations = [*tolerations, *(get_config("singleuser.extraTolerations") or [])]
    purpose = get_config("scheduling.userPods.nodeAffinity.matchNodePurpose")
    if purpose == "require":
        spawner.node_affinity_required.append(FOR_STUDENTS)
    elif purpose == "prefer":
        spawner.node_affinity_preferred.append({"weight": 100, "preference": FOR_STUDENTS})


def _storage(spawner: Any) -> None:
    """A claim for each student, one claim with a folder for each, or nothing; and what the class brings beside it."""
    storage = get_config("singleuser.storage")
    volumes: dict[str, Any] = {}
    mounts: dict[str, Any] = {}
    if storage["type"] == "dynamic":
        spawner.storage_pvc_ensure = True
        set_config_if_not_none(spawner, "storage_capacity", "singleuser.storage.capacity")
        for option, key in HOMES.items():
            set_config_if_not_none(spawner, option, f"singleuser.storage.dynamic.{key}")
        home = (storage["dynamic"]["volumeNameTemplate"], "{pvc_name}", storage["dynamic"].get("subPath"))
    elif storage["type"] == "static":
        home = ("home", storage["static"]["pvcName"], storage["static"]["subPath"])
    else:
        home = None
    if home is not None:
        name, claim, folder = home
        volumes["home"] = {"name": name, "persistentVolumeClaim": {"claimName": claim}}
        mounts["home"] = {"name": name, "mountPath": storage["homeMountPath"]}
        if folder:
            mounts["home"]["subPath"] = folder
    spawner.volumes = {**volumes, **_by_key(storage.get("extraVolumes"))}
    spawner.volume_mounts = {**mounts, **_by_key(storage.get("extraVolumeMounts"))}


def _by_key(given: Any) -> dict[str, Any]:
    """They come as a list or as a map."""
    if isinstance(given, dict):
        return given
    return {f"{number}-{row['name']}": row for number, row in enumerate(given or [])}
