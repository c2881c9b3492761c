"""The images that every cluster needs: pods' sandbox, cluster DNS, and a shell with the usual commands for tests."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from tests.testbed import binaries, oci
from tests.testbed.oci import Image, Layer

SANDBOX, BUSYBOX, COREDNS = "localhost/sandbox:1", "localhost/busybox:1", "localhost/coredns:1"
NOBODY = "65534"
FOREVER_S = str(2**31 - 1)
SOURCE = Path(__file__).read_text()


def basic() -> list[Image]:
    return [
        # the first process of a pod ends when it is told, and takes in orphans
        Image(SANDBOX, (shell(),), ("/bin/tini", "--"), ("/bin/sleep", FOREVER_S), NOBODY),
        Image(BUSYBOX, (shell(),), (), ("/bin/sh",)),
        Image(COREDNS, (_dns(),), ("/coredns",)),
    ]


def shell() -> Layer:
    """busybox with all its names, and tini."""
    given = binaries.containerd() / "image"

    def fill(tar: tarfile.TarFile) -> None:
        oci.add_folder(tar, "tmp", 0o1777)
        oci.add_tree(tar, given)
        listed = subprocess.run([given / "bin/busybox", "--list"], capture_output=True, text=True, check=True)
        for name in sorted(set(listed.stdout.split()) - {"busybox"}):
            oci.add_link(tar, f"bin/{name}", "busybox")

    return oci.layer("shell", [str(given), SOURCE], fill)


def _dns() -> Layer:
    program = (binaries.kubernetes() / "coredns").resolve()  # its path names its version
    return oci.layer(
        "coredns", [str(program), SOURCE], lambda tar: oci.add(tar, "coredns", program.read_bytes(), 0o755)
    )
