"""A cluster's register, API server, controllers and scheduler."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import binaries, credentials
from tests.testbed.api import Api, Refused
from tests.testbed.credentials import Credentials
from tests.testbed.daemons import Daemons

READY_S = 90.0  # 5 on a quiet machine


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses and ports. On a host with a network of its own they are the usual ones; `pods` is empty without nodes."""

    address: str
    services: str  # the network of services' addresses
    pods: str = ""
    api_port: int = 6443
    etcd_ports: tuple[int, int] = (2379, 2380)  # for clients, for members

    @property
    def prefix(self) -> str:
        return self.services.rpartition(".")[0]

    @property
    def api_service(self) -> str:
        """The first address: the API server's, for pods."""
        return f"{self.prefix}.1"

    @property
    def dns_service(self) -> str:
        return f"{self.prefix}.10"


@dataclass
class ControlPlane:
    """Starts them; each can be killed and started again by name (`daemons`)."""

    daemons: Daemons
    place: Place
    files: Credentials
    inside: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def api(self) -> Api:
        """As an administrator."""
        return self.api_as(self.files.token(credentials.ADMIN))

    def api_as(self, token: str) -> Api:
        return Api(self.files.url, token, self.files.ca, self.inside)

    def start(self) -> None:
        """What others wait for."""
        self._begin(("etcd", self._etcd()), ("kube-apiserver", self._api_server()))

    def wait(self) -> None:
        """Until the API server is ready and controllers work: a namespace has the account that its pods run as. They are
        started when it is ready for the first time, for controllers wait no longer than ten seconds, and then end."""
        self.daemons.until(self.api.answers, "the API server is ready", READY_S)
        if credentials.CONTROLLERS not in self.daemons.running:
            self._begin((credentials.CONTROLLERS, self._controllers()), (credentials.SCHEDULER, self._scheduler()))
        self.daemons.until(self._controllers_work, "controllers work", READY_S)

    def _begin(self, *daemons: tuple[str, list[str]]) -> None:
        for name, words in daemons:
            self.daemons.start(name, binaries.kubernetes() / name, *words)

    def _controllers_work(self) -> bool:
        try:
            self.api.get("/api/v1/namespaces/default/serviceaccounts/default")
        except Refused as error:
            if error.status != 404:
                raise
            return False
        return True

    def _etcd(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in self.place.etcd_ports)
        return [
            f"--data-dir={self.daemons.folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=error",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        ]  # fmt: skip

    def _api_server(self) -> list[str]:
        files, signing = self.files, self.files.signing
        words = [
            f"--etcd-servers=http://127.0.0.1:{self.place.etcd_ports[0]}", f"--secure-port={self.place.api_port}",
            f"--bind-address={self.place.address}", f"--advertise-address={self.place.address}",
            f"--service-cluster-ip-range={self.place.services}", f"--cert-dir={self._state('kube-apiserver')}",
            f"--tls-cert-file={files.server.cert}", f"--tls-private-key-file={files.server.key}",
            f"--service-account-issuer=https://{credentials.SERVICE}", f"--token-auth-file={files.tokens}",
            f"--service-account-key-file={signing.cert}", f"--service-account-signing-key-file={signing.key}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
            f"--kubelet-client-certificate={files.kubelets.cert}", f"--kubelet-client-key={files.kubelets.key}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-node-port-range=80-32767",  # students come to port 80 of a node: no balancer stands before it
        ]  # fmt: skip
        if not self.place.pods:  # nobody reaches it through its service, and loopback may not be advertised
            words.append("--endpoint-reconciler-type=none")
        return words

    def _controllers(self) -> list[str]:
        return [
            f"--kubeconfig={self.files.kubeconfig(credentials.CONTROLLERS)}", "--leader-elect=false", "--secure-port=0",
            # rules are for the account of each controller, none for their common user
            "--use-service-account-credentials=true", f"--service-account-private-key-file={self.files.signing.key}",
            f"--root-ca-file={self.files.ca}", f"--cert-dir={self._state(credentials.CONTROLLERS)}",
            # as Kubernetes has it for the silence of a node, divided by three: tests wait for it
            "--node-monitor-grace-period=16s",
            # else a thousand pods take a minute
            "--kube-api-qps=300", "--kube-api-burst=600",
        ]  # fmt: skip

    def _scheduler(self) -> list[str]:
        return [
            f"--kubeconfig={self.files.kubeconfig(credentials.SCHEDULER)}", "--leader-elect=false", "--secure-port=0",
            f"--cert-dir={self._state(credentials.SCHEDULER)}", "--kube-api-qps=300", "--kube-api-burst=600",
        ]  # fmt: skip

    def _state(self, name: str) -> Path:
        """A folder of its own."""
        return self.daemons.folder / f"state-{name}"
