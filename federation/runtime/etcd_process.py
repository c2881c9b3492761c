"""Finding an etcd and saying how to run it. Starts nothing: that is for whoever supervises it.

etcd 3.5.0 to 3.5.2 can corrupt their data when killed: fine for a demo, never for crash tests or production.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.model.errors import Unavailable
from federation.runtime.processes import Launch, Processes
from federation.runtime.tls import TlsFiles

UNSAFE = ("3.5.0", "3.5.1", "3.5.2")
VERSION = re.compile(r"etcd Version: (\d+\.\d+\S*)")


@dataclass(frozen=True, slots=True)
class EtcdBinary:
    """An etcd program."""

    path: Path
    version: str

    @property
    def crash_safe(self) -> bool:
        """Whether kill -9 keeps its data whole."""
        return self.version not in UNSAFE

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version; ValueError if it has none. Data are the same within it."""
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)


async def find_etcd(processes: Processes, log: Path, *, crash_safe: bool = False) -> EtcdBinary:
    """The first crash-safe one of PATH, the cache of `scripts/get-etcd` and the `embedded` extra; else the first that
    runs at all, unless `crash_safe` is asked for; else Unavailable."""
    tried: list[str] = []
    second_best: EtcdBinary | None = None
    for path in candidates():
        version = await version_of(processes, path, log)
        if version is None:
            tried.append(f"{path} does not say its version")
            continue
        found = EtcdBinary(path, version)
        if found.crash_safe:
            return found
        second_best = second_best or found
        tried.append(f"{path} is {found.version}, which can corrupt its data when killed")
    if second_best is not None and not crash_safe:
        return second_best
    raise Unavailable(
        f"no etcd was found ({'; '.join(tried) or 'none on PATH'})",
        help="Install etcd (Debian: etcd-server), or run scripts/get-etcd, which needs no root.",
    )


async def version_of(processes: Processes, path: Path, log: Path) -> str | None:
    """What the program says; None if it is no etcd."""
    done = await processes.run(Launch((str(path), "--version"), log, env=dict(os.environ)), timeout_s=20.0)
    match = VERSION.search(done.output)
    return match.group(1) if match else None


@dataclass(frozen=True, slots=True)
class EtcdMemberSettings:
    """One member. `client` and `peer` are host:port; `cluster` maps member names to peers' host:port. With `tls`,
    clients and peers must show a certificate of its CA."""

    name: str
    data_dir: Path
    client: str
    peer: str
    cluster: Mapping[str, str]
    tls: TlsFiles | None = None
    quota_bytes: int = 2 * 2**30


def etcd_arguments(binary: EtcdBinary, member: EtcdMemberSettings) -> tuple[str, ...]:
    """The command of one member."""
    scheme = "https" if member.tls else "http"
    words = [
        str(binary.path),
        *("--name", member.name),
        *("--data-dir", str(member.data_dir)),
        *("--listen-client-urls", f"{scheme}://{member.client}"),
        *("--advertise-client-urls", f"{scheme}://{member.client}"),
        *("--listen-peer-urls", f"{scheme}://{member.peer}"),
        *("--initial-advertise-peer-urls", f"{scheme}://{member.peer}"),
        *("--initial-cluster", ",".join(f"{name}={scheme}://{at}" for name, at in sorted(member.cluster.items()))),
        *("--quota-backend-bytes", str(member.quota_bytes)),
        "--pre-vote",  # a member that was cut off or frozen does not depose the leader when it comes back
        *("--logger", "zap"),
        *("--log-level", "warn"),
    ]
    if member.tls is not None:
        for side in ("", "peer-"):
            words += [f"--{side}cert-file", str(member.tls.cert), f"--{side}key-file", str(member.tls.key)]
            words += [f"--{side}trusted-ca-file", str(member.tls.ca), f"--{side}client-cert-auth"]
    return tuple(words)


def candidates() -> Iterator[Path]:
    """Where an etcd may be, in order of preference: PATH, the cache of `scripts/get-etcd`, the `embedded` extra."""
    found = shutil.which("etcd")
    beside = Path(sys.executable).parent / "etcd"
    if found and Path(found) != beside:
        yield Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME", "/")) / ".cache") / "hubfed"
    yield from sorted(cache.glob("etcd-*/usr/bin/etcd"), reverse=True)
    if beside.exists():
        yield beside
