"""A node that runs real pods: containerd and runc, kubelet, kube-proxy, and a network of routed links.

It lives on its host's network and in a mount namespace of its own (`node_mounts.sh`), in which it sees the machine, but
changes nothing of it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.network import nft
from tests.testbed import binaries, control_groups, oci
from tests.testbed.api import Api, Object, Refused
from tests.testbed.control_plane import Place
from tests.testbed.credentials import Credentials
from tests.testbed.daemons import Daemons
from tests.testbed.node_settings import SHADOWED, write_settings
from tests.testbed.oci import Image

READY_S = 90.0
HOLDER = "mount-namespace"
APART = ("unshare", "--mount", "--propagation", "private")
HOLD = Path(__file__).with_name("node_mounts.sh")
# Pods go out under their host's address: nobody else knows theirs. nft, for the network plugin would want iptables.
NAT = """
add table ip pods
add chain ip pods out {{ type nat hook postrouting priority srcnat; }}
add rule ip pods out ip saddr {pods} ip daddr != {pods} masquerade
"""


def refusal() -> str:
    """Why this machine cannot have nodes; nothing if it can."""
    if os.getuid() != 0:
        return "they need root: run `sudo make test`"
    if reason := control_groups.refusal():
        return reason
    nft()  # leaves the test out by itself
    with tempfile.TemporaryDirectory(prefix="hubfed-try-") as folder:
        tried = subprocess.run(
            [*APART, "/bin/sh", "-c", f"exec {HOLD} {folder} true </dev/null"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    return tried.stderr.strip()[-200:] if tried.returncode else ""


@dataclass
class Node:
    """Its daemons are killed and started again by name: containerd, kubelet, kube-proxy."""

    daemons: Daemons
    place: Place
    files: Credentials
    name: str

    @property
    def folder(self) -> Path:
        return self.daemons.folder

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    def start(self) -> None:
        """Nothing waits for the API server: a kubelet does so by itself."""
        settings = self.folder / "settings"
        settings.write_text("".join(f"{setting} {value}\n" for setting, value in SHADOWED.items()))
        self.daemons.start(HOLDER, *APART, "/bin/sh", "-c", f"exec {HOLD} {self.folder} sleep infinity <{settings}")
        self._route()
        files = write_settings(self.folder, self.place, self.files, self.name)
        self.daemons.until((self.folder / "apart/ready").exists, "the node has mounts of its own", READY_S)
        programs, kubernetes = binaries.containerd() / "bin", binaries.kubernetes()
        self._begin("containerd", programs / "containerd", "--config", files.containerd)
        self.daemons.until(self.socket.exists, "containerd listens", READY_S)
        self._begin(
            "kubelet", kubernetes / "kubelet", f"--config={files.kubelet}", f"--root-dir={self.folder / 'kubelet'}",
            f"--kubeconfig={self.files.kubeconfig(self.name)}", f"--cert-dir={self.folder / 'state-kubelet'}",
            f"--hostname-override={self.name}", f"--node-ip={self.place.address}",
        )  # fmt: skip
        self._begin("kube-proxy", kubernetes / "kube-proxy", f"--config={files.proxy}")

    def add_images(self, images: Sequence[Image]) -> None:
        """For pods with `imagePullPolicy: Never`; layers that are there already take a moment."""
        ctr = [binaries.containerd() / "bin/ctr", "--address", self.socket, "--namespace", "k8s.io"]
        words = [*self._entering(), *map(str, ctr), "images", "import", "-"]
        with self.daemons.log("images").open("ab") as log:
            importing = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert importing.stdin is not None
        with suppress(BrokenPipeError), importing.stdin as stream:  # why it ended is in the log
            oci.write(stream, images)
        assert importing.wait() == 0, self.daemons.logs()

    def wait(self, api: Api) -> None:
        """Until it takes pods."""
        self.daemons.until(lambda: self._ready(api), f"node {self.name} is ready", READY_S)

    def _ready(self, api: Api) -> bool:
        try:
            node: Object = api.get(f"/api/v1/nodes/{self.name}")
        except Refused as error:
            if error.status != 404:
                raise
            return False
        conditions = {row["type"]: row["status"] for row in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")

    def _begin(self, name: str, *words: object) -> None:
        path = (binaries.containerd() / "bin", nft().parent)
        self.daemons.start(name, *self._entering(), *words, path=path)

    def _entering(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self.daemons.running[HOLDER].pid}/ns/mnt", "--"]

    def _route(self) -> None:
        with self.daemons.inside():
            for words in (["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"], [str(nft()), "-f", "-"]):
                given = NAT.format(pods=self.place.pods)
                done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=20, check=False)
                assert done.returncode == 0, done.stderr
