"""Who is who in one cluster: a CA, certificates that serve, a token for each client, and the files that clients read."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from federation.runtime.disk import LocalDisk
from federation.runtime.pki import LOOPBACK, Authority
from federation.runtime.tls import TlsFiles
from tests.testbed.api import Api

KUBELET_CLIENT = "kube-apiserver-kubelet-client"  # as whom the API server asks a kubelet for logs
ADMIN, CONTROLLERS, SCHEDULER, PROXY = "admin", "kube-controller-manager", "kube-scheduler", "kube-proxy"
USERS = {  # the names and groups for which Kubernetes itself brings rules
    ADMIN: ("admin", "system:masters"),
    CONTROLLERS: ("system:kube-controller-manager", ""),
    SCHEDULER: ("system:kube-scheduler", ""),
    PROXY: ("system:kube-proxy", ""),
}
SERVICE = "kubernetes.default.svc"
NAMES = ("kubernetes", "kubernetes.default", SERVICE, f"{SERVICE}.cluster.local")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files below `folder`. `server` is what the API server shows, `kubelets` what it shows to kubelets, `signing` has
    the key of tokens for service accounts."""

    folder: Path
    url: str
    server: TlsFiles
    kubelets: TlsFiles
    signing: TlsFiles

    @property
    def ca(self) -> Path:
        return self.server.ca

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.csv"

    def token(self, who: str) -> str:
        rows = (row.split(",") for row in self.tokens.read_text().splitlines())
        return next(token for token, _user, name, *_ in rows if name == who)

    def kubeconfig(self, who: str) -> Path:
        """For one of USERS, or a node."""
        return self.folder / f"{who}.kubeconfig"


def issue(folder: Path, address: str, port: int, service: str, nodes: tuple[str, ...] = ()) -> Credentials:
    """For an API server at that address and, for pods, at that address of its service."""
    folder.mkdir(mode=0o700)
    now, disk = datetime.now(UTC), LocalDisk()
    authority = Authority.create("testbed", now)

    def written(name: str, *hosts: str) -> TlsFiles:
        return authority.write(authority.issue(name, now, hosts=hosts), folder, name, disk)

    server = written("kube-apiserver", *LOOPBACK, *NAMES, address, service)
    made = Credentials(
        folder, f"https://{address}:{port}", server, written(KUBELET_CLIENT), written("service-accounts")
    )  # fmt: skip
    users = USERS | {node: (f"system:node:{node}", "system:nodes") for node in nodes}
    rows = {who: (secrets.token_hex(16), user, group) for who, (user, group) in users.items()}
    made.tokens.write_text(
        "".join(
            f"{token},{user},{who}" + (f",{group}\n" if group else "\n") for who, (token, user, group) in rows.items()
        )
    )
    for who, (token, _user, _group) in rows.items():
        cluster = {"server": made.url, "certificate-authority": str(made.ca)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": who, "user": {"token": token}}],
            "contexts": [{"name": who, "context": {"cluster": "testbed", "user": who}}],
            "current-context": who,
        }
        made.kubeconfig(who).write_text(json.dumps(content))  # JSON is YAML, too
    return made


def client(kubeconfig: Path) -> Api:
    """Of one of the files that `issue` wrote."""
    content = json.loads(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    return Api(cluster["server"], user["token"], Path(cluster["certificate-authority"]))
