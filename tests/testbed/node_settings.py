"""The settings of a node's daemons, as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import binaries, credentials
from tests.testbed.control_plane import Place
from tests.testbed.credentials import Credentials
from tests.testbed.images import SANDBOX

# A kubelet sets these for a machine that is nothing but a node, and is content where it finds them so.
SHADOWED = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
CONTAINERD = """version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
# a machine may not let root lower what is killed first
restrict_oom_score_adj = true
# profiles would be loaded into the machine's kernel
disable_apparmor = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/pod-network"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


@dataclass(frozen=True, slots=True)
class SettingsFiles:
    containerd: Path
    kubelet: Path
    proxy: Path


def write_settings(folder: Path, place: Place, files: Credentials, name: str) -> SettingsFiles:
    """For the node of that name."""
    plugins = binaries.containerd() / "cni"
    (folder / "pod-network").mkdir()
    _json(folder / "pod-network/10-pods.conflist", _network(folder, place))
    containerd = folder / "containerd.toml"
    containerd.write_text(CONTAINERD.format(folder=folder, sandbox=SANDBOX, plugins=plugins))
    return SettingsFiles(
        containerd,
        _json(folder / "kubelet.json", _kubelet(folder, place, files)),
        _json(folder / "kube-proxy.json", _proxy(place, files, name)),
    )


def _json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def _network(folder: Path, place: Place) -> object:
    """A routed link for each pod. On a common bridge, answers of services would go round the address translation, unless
    a setting says otherwise that is the whole machine's."""
    pool = {"type": "host-local", "dataDir": str(folder / "addresses"), "ranges": [[{"subnet": place.pods}]]}
    link = {"type": "ptp", "ipam": pool | {"routes": [{"dst": "0.0.0.0/0"}]}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [link]}


def _kubelet(folder: Path, place: Place, files: Credentials) -> object:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{folder / 'containerd.sock'}",
        "address": place.address,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {"x509": {"clientCAFile": str(files.ca)}, "anonymous": {"enabled": False}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{folder.name}",
        "enforceNodeAllocatable": ["pods"],
        "failCgroupV1": False,  # since 1.35 it does unless it is told
        "failSwapOn": False,
        "clusterDNS": [place.dns_service],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "podLogsDir": str(folder / "pod-logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        # a disk that others fill is no reason to end pods
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,  # what was imported cannot be pulled again
        "nodeStatusUpdateFrequency": "2s",
    }


def _proxy(place: Place, files: Credentials, name: str) -> object:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "bindAddress": place.address,
        "clusterCIDR": place.pods,
        "hostnameOverride": name,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(files.kubeconfig(credentials.PROXY))},
        # zero: leave the kernel's table of connections as it is
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
