"""What the site's edge is made of in a cluster, and the pod of a canary: objects as they are applied. Pure.

The programs are those of the edge of local sites, in a ConfigMap; what runs them is the image of the hubs' own proxy, which
has Node and the proxy's library, and is in the cluster anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import EDGE, HUB, MANAGED_BY, SITE, edge_namespace

Object = dict[str, Any]
NAME = "edge"
PORT = 8080
PROGRAMS = "/opt/hubfed"
CA = "ca.pem"
MARK = "hubfed.io/programs"
NOBODY = 65534
PULL = "IfNotPresent"
AWAY_S = 10  # how long a node may be silent before another one gets the edge
CANARY_S = 600  # ends by itself long after every proof is over
# Answers every request, at once and for ever.
CANARY = (
    "require('http').createServer((_, answer) => answer.end('canary')).listen(%d);"
    "process.on('SIGTERM', () => process.exit(0))"
)


@dataclass(frozen=True, slots=True)
class ProxyImage:
    """Of the hubs' proxy, and when nodes are to pull it."""

    name: str
    pull: str = PULL

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ProxyImage:
        """As the values of the JupyterHub chart have it. KeyError or TypeError if they do not."""
        found = values["proxy"]["chp"]["image"]
        return cls(f"{found['name']}:{found['tag']}", found.get("pullPolicy") or PULL)


@dataclass(frozen=True, slots=True)
class AskedAgent:
    """Whom an edge asks (PROTOCOL.md H13): `name` is what the agent's certificate has to say, of an authority in `ca`."""

    url: str
    name: str
    ca: str


@dataclass(frozen=True, slots=True)
class EdgeObjects:
    """Of one site. `node_port` 0: reached inside of the cluster alone, e.g. by an ingress."""

    site: str
    image: ProxyImage
    agent: AskedAgent
    programs: Mapping[str, str]
    node_port: int = 0

    def all(self) -> dict[str, Object]:
        """By the path at which each is applied, in this order."""
        namespace = edge_namespace(self.site)
        return {
            paths.namespace(namespace): own_namespace(self.site),
            paths.config_map(namespace, NAME): self._programs(),
            paths.service(namespace, NAME): self._service(),
            f"{paths.deployments(namespace)}/{NAME}": self._deployment(),
        }

    def _meta(self, name: str) -> Object:
        return {"name": name, "labels": {EDGE: self.site, MANAGED_BY: "hubfed"}}

    def _programs(self) -> Object:
        data = {**self.programs, CA: self.agent.ca}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._meta(NAME), "data": data}

    def _service(self) -> Object:
        port: Object = {"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}
        if self.node_port:
            port["nodePort"] = self.node_port
        kind = "NodePort" if self.node_port else "ClusterIP"
        spec = {"type": kind, "selector": {EDGE: self.site}, "ports": [port]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": self._meta(NAME), "spec": spec}

    def _deployment(self) -> Object:
        words = ["node", f"{PROGRAMS}/launcher.mjs", "edge", "--listen", f"0.0.0.0:{PORT}", "--ask", self.agent.url]
        words += ["--ca", f"{PROGRAMS}/{CA}", "--name", self.agent.name]
        alive, ready = ({"httpGet": {"path": f"/.hubfed/{what}", "port": PORT}} for what in ("proxy", "ready"))
        container = {
            **_container(NAME, self.image, words),
            "volumeMounts": [{"name": "programs", "mountPath": PROGRAMS, "readOnly": True}],
            "readinessProbe": {**ready, "periodSeconds": 1, "failureThreshold": 3, "timeoutSeconds": 2},
            "livenessProbe": {**alive, "periodSeconds": 5, "failureThreshold": 4, "timeoutSeconds": 2},
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        }
        pod = {
            **plain_pod(container),
            "terminationGracePeriodSeconds": 5,
            "volumes": [{"name": "programs", "configMap": {"name": NAME}}],
            "tolerations": [_tolerated("not-ready"), _tolerated("unreachable")],
        }
        template = {
            "metadata": {"labels": self._meta(NAME)["labels"], "annotations": {MARK: self._mark()}},
            "spec": pod,
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": {EDGE: self.site}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        }
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": self._meta(NAME), "spec": spec}

    def _mark(self) -> str:
        """Pods are made anew where the programs changed, and so is a pod that has the old ones mounted."""
        data = json.dumps([dict(self.programs), self.agent.ca], sort_keys=True)
        return sha256(data.encode()).hexdigest()[:16]


def own_namespace(site: str) -> Object:
    """Of what the site has in the cluster beside its hubs."""
    labels = {EDGE: site, MANAGED_BY: "hubfed"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": edge_namespace(site), "labels": labels}}


def canary_namespace(site: str, hub: str) -> Object:
    """As that of a hub, so that the fencer finds it in the same way; no class, so that the agent does not."""
    labels = {SITE: site, HUB: hub, MANAGED_BY: "hubfed"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": hub, "labels": labels}}


def canary_pod(name: str, image: ProxyImage) -> Object:
    """Something like a hub."""
    container = _container("canary", image, ["node", "-e", CANARY % PORT])
    ready = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
    spec = {
        **plain_pod({**container, "readinessProbe": ready}),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "activeDeadlineSeconds": CANARY_S,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {MANAGED_BY: "hubfed"}},
        "spec": spec,
    }


def host_port(host: str, port: int) -> str:
    """As it stands in an URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _container(name: str, image: ProxyImage, words: list[str]) -> Object:
    ports = [{"name": "http", "containerPort": PORT, "protocol": "TCP"}]
    return {**plain_container(name, image, words), "ports": ports}


def plain_container(name: str, image: ProxyImage, words: list[str]) -> Object:
    """One that may do nothing but run."""
    return {
        "name": name,
        "image": image.name,
        "imagePullPolicy": image.pull,
        "command": words,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def plain_pod(container: Object) -> Object:
    """The spec of one that runs as nobody, and knows nothing of the cluster."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }


def _tolerated(what: str) -> Object:
    taint = f"node.kubernetes.io/{what}"
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": AWAY_S}
