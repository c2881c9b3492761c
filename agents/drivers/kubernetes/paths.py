"""Where things are in the API."""

from __future__ import annotations

NAMESPACES = "/api/v1/namespaces"
NODES = "/api/v1/nodes"
ALL_PODS = "/api/v1/pods"
PRIORITY_CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


VERSION = "/version"
STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def namespace(name: str) -> str:
    return f"{NAMESPACES}/{name}"


def pods(name: str) -> str:
    return f"{namespace(name)}/pods"


def secret(name: str, secret_name: str) -> str:
    return f"{namespace(name)}/secrets/{secret_name}"


def service(name: str, service_name: str) -> str:
    return f"{namespace(name)}/services/{service_name}"


def claims(name: str) -> str:
    return f"{namespace(name)}/persistentvolumeclaims"


def deployments(name: str) -> str:
    return f"/apis/apps/v1/namespaces/{name}/deployments"


def stateful_sets(name: str) -> str:
    return f"/apis/apps/v1/namespaces/{name}/statefulsets"


def daemon_sets(name: str) -> str:
    return f"/apis/apps/v1/namespaces/{name}/daemonsets"


def quotas(name: str) -> str:
    return f"{namespace(name)}/resourcequotas"


def config_map(name: str, map_name: str) -> str:
    return f"{namespace(name)}/configmaps/{map_name}"


def secrets(name: str) -> str:
    return f"{namespace(name)}/secrets"
