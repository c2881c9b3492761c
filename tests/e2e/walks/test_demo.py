"""`make demo` as a newcomer runs it: unprivileged, without etcd or Node on PATH; interrupted, it leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65534

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def newcomer() -> Iterator[dict[str, str]]:
    """A copy of the tree that belongs to an unprivileged user with an empty home, and a PATH without etcd and Node."""
    folder = Path(tempfile.mkdtemp(prefix="hubfed-newcomer-"))
    folder.chmod(0o755)
    tree = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in (os.fsdecode(n) for n in tree if n):
        if (ROOT / name).is_file():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "tree" / name)
    path = folder / "bin"
    path.mkdir()
    for place in ("/usr/bin", "/bin", "/usr/local/bin"):
        for tool in Path(place).iterdir():
            if not (path / tool.name).exists() and not tool.name.startswith(("node", "npm", "npx", "etcd", "corepack")):
                (path / tool.name).symlink_to(tool)
    (folder / "home").mkdir()
    for settings in (".npmrc", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml"):
        if (Path.home() / settings).is_file():  # how this machine reaches its package registries
            (folder / "home" / settings).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path.home() / settings, folder / "home" / settings)
    keep = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "npm_config_", "SSL_", "UV_", "HUBFED_"))}
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(folder)], check=True)
    yield {**keep, "HOME": str(folder / "home"), "PATH": str(path), "TMPDIR": "/tmp", "FOLDER": str(folder / "tree")}
    shutil.rmtree(folder, ignore_errors=True)


def demo(newcomer: dict[str, str]) -> subprocess.Popen[str]:
    root = os.getuid() == 0
    return subprocess.Popen(
        ["make", "demo"],
        cwd=newcomer["FOLDER"],
        env={k: v for k, v in newcomer.items() if k != "FOLDER"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=NOBODY if root else None,
        group=NOBODY if root else None,
        extra_groups=[] if root else None,
    )


def sites(newcomer: dict[str, str], said: str) -> list[dict[str, Any]]:
    """What the newcomer's fedctl says of the sites of the demo that runs."""
    found = re.search(r"starting a federation in (\S+)/federation", said)
    assert found is not None, said
    root = os.getuid() == 0
    done = subprocess.run(
        [Path(newcomer["FOLDER"], ".venv/bin/fedctl"), "sites", "-o", "json"],
        env={**newcomer, "XDG_CONFIG_HOME": f"{found[1]}/config"},
        capture_output=True,
        text=True,
        check=True,
        user=NOBODY if root else None,
        group=NOBODY if root else None,
        extra_groups=[] if root else None,
    )
    items = json.loads(done.stdout)["items"]
    assert isinstance(items, list)
    return items


def left_of(newcomer: dict[str, str]) -> list[str]:
    """Processes that run from the newcomer's tree or home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if newcomer["FOLDER"] in command or newcomer["HOME"] in command:
                found.append(f"{entry.name} {command[:120]}")
    return found


def test_the_demo_works_for_a_newcomer_and_cleans_up(newcomer: dict[str, str]) -> None:
    with demo(newcomer) as running:
        out, _ = running.communicate(timeout=500)
    assert running.returncode == 0, out[-6000:]
    assert "read back, unchanged" in out
    assert left_of(newcomer) == []


def test_without_root_its_sites_say_so_and_ctrl_c_in_the_middle_leaves_nothing_behind(
    newcomer: dict[str, str],
) -> None:
    with demo(newcomer) as running:
        assert running.stdout is not None
        seen = ""
        for line in running.stdout:
            seen += line
            if "assigned" in line:
                break
        isolated = {
            site["metadata"]["name"]: (said["status"], said["reason"])
            for site in sites(newcomer, seen)
            for said in site["status"]["conditions"]
            if said["type"] == "Isolated"
        }
        os.killpg(running.pid, signal.SIGINT)
        seen += running.stdout.read()
        assert running.wait(90) != 0, seen
    assert "assigned" in seen
    assert isolated == {"iu": ("False", "NotRoot"), "tacc": ("False", "NotRoot")}
    deadline = time.monotonic() + 10
    while left_of(newcomer) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left_of(newcomer) == []
