"""The image with this project as it is in this folder now, Debian's Python, what `fed-homes` and `fed-fencer` import
(`jupyter/homes.txt`), and restic: of pods that copy homes, and of fencers on nodes."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.testbed import jupyter_images, oci
from tests.testbed.jupyter_images import LOCKS, PACKAGES, PYTHON, ROOT, compile_all, unpack
from tests.testbed.oci import Image, Layer

NAME = "localhost/hubfed:1"
SOURCE = Path(__file__).read_text()
PROGRAMS = {"fed-homes": "agents.homes_pod", "fed-fencer": "agents.fencer"}
PROGRAM = f"""#!/{PYTHON}
import sys
from %s import main
sys.exit(main())
"""
BUILD_S = 600.0


def homes() -> Image:
    """Made if need be: a minute the first time, a moment after a change of the program."""
    layers = (jupyter_images._base(), _packages(), _restic(), _program())
    return Image(NAME, layers, (), ("fed-homes",), "0", env=("LANG=C.UTF-8",))


def _packages() -> Layer:
    lock = LOCKS / "homes.txt"

    def fill(tar: tarfile.TarFile) -> None:
        with tempfile.TemporaryDirectory(prefix="hubfed-homes-") as made:
            base, folder = Path(made, "base"), Path(made, "homes")
            base.mkdir()
            unpack(base)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
            theirs = ["--python-version", "3.11", "--only-binary", ":all:", "--target", str(folder / PACKAGES)]
            done = subprocess.run(
                [*pip, *theirs, "--require-hashes", "-r", str(lock)],
                capture_output=True, text=True, timeout=BUILD_S, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            compile_all(base, folder, PACKAGES)
            oci.add_tree(tar, folder)

    return oci.layer("homes", [lock.read_text(), (LOCKS / "base.sha256").read_text(), SOURCE], fill)


def _restic() -> Layer:
    got = subprocess.run([ROOT / "scripts/get-restic"], capture_output=True, text=True, timeout=300, check=False)
    assert got.returncode == 0, got.stderr
    program = Path(got.stdout.strip())
    content = program.read_bytes()
    return oci.layer(
        "restic", [oci.digest_of(content)], lambda tar: oci.add(tar, "usr/local/bin/restic", content, 0o755)
    )


def _program() -> Layer:
    files = sorted(path for top in ("federation", "agents") for path in (ROOT / top).rglob("*.py"))
    content = {str(path.relative_to(ROOT)): path.read_bytes() for path in files}
    key = [f"{name} {oci.digest_of(text)}" for name, text in content.items()]

    def fill(tar: tarfile.TarFile) -> None:
        for name, text in content.items():
            oci.add(tar, f"{PACKAGES}/{name}", text)
        for name, module in PROGRAMS.items():
            oci.add(tar, f"usr/local/bin/{name}", (PROGRAM % module).encode(), 0o755)

    return oci.layer("program", [*key, SOURCE], fill)
