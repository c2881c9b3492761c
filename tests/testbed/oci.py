"""Images as the Open Container Initiative describes them: layers are archives of files, and an archive of all is what a
node imports. No docker, no registry."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import platform
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
KIND = "application/vnd.oci.image"
PATH = "PATH=/usr/local/bin:/usr/bin:/bin"
STAMP = 1577836800  # files' times: equal content is an equal layer


@dataclass(frozen=True, slots=True)
class Layer:
    path: Path
    digest: str

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True, slots=True)
class Image:
    name: str
    layers: tuple[Layer, ...]
    entry: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    folder: str = "/"
    env: tuple[str, ...] = ()


def layer(name: str, key: Sequence[str], fill: Callable[[tarfile.TarFile], None]) -> Layer:
    """One that is kept in the user's cache under its name and what went into it (`key`); `fill` makes it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubfed"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"layer-{name}-{digest_of('|'.join(key).encode())[:16]}.tar"
    known = target.with_suffix(".digest")
    with (cache / f"layer-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix=".layer-") as folder:
                fresh = Path(folder, "layer.tar")
                with tarfile.open(fresh, "w") as tar:
                    fill(tar)
                with fresh.open("rb") as made:
                    known.write_text(hashlib.file_digest(made, "sha256").hexdigest())
                fresh.rename(target)  # whole or absent
    return Layer(target, known.read_text())


def write(file: IO[bytes], images: Sequence[Image]) -> None:
    """The archive, as a stream; layers that images have in common are in it once."""
    documents: dict[str, bytes] = {}

    def blob(content: object) -> dict[str, object]:
        data = json.dumps(content).encode()
        documents[digest_of(data)] = data
        return {"digest": f"sha256:{digest_of(data)}", "size": len(data)}

    manifests = []
    for image in images:
        layers = [
            {"mediaType": f"{KIND}.layer.v1.tar", "digest": f"sha256:{layer.digest}", "size": layer.size}
            for layer in image.layers
        ]
        config = {"mediaType": f"{KIND}.config.v1+json", **blob(_config(image))}
        manifest = {"schemaVersion": 2, "mediaType": f"{KIND}.manifest.v1+json", "config": config, "layers": layers}
        named = {"io.containerd.image.name": image.name}
        manifests.append({"mediaType": f"{KIND}.manifest.v1+json", **blob(manifest), "annotations": named})
    with tarfile.open(fileobj=file, mode="w|") as tar:
        add(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())
        for digest, content in documents.items():
            add(tar, f"blobs/sha256/{digest}", content)
        for digest, path in {layer.digest: layer.path for image in images for layer in image.layers}.items():
            entry = plain(f"blobs/sha256/{digest}", 0o644)
            entry.size = path.stat().st_size
            with path.open("rb") as archive:
                tar.addfile(entry, archive)


def add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """A file."""
    entry = plain(name, mode)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def add_folder(tar: tarfile.TarFile, name: str, mode: int = 0o755, owner: int = 0) -> None:
    entry = plain(name, mode)
    entry.type, entry.uid, entry.gid = tarfile.DIRTYPE, owner, owner
    tar.addfile(entry)


def add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    """A symbolic one."""
    entry = plain(name, 0o777)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def add_tree(tar: tarfile.TarFile, folder: Path, below: str = "") -> None:
    """All that is in a folder, as root's."""

    def fix(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = STAMP
        return entry

    for path in sorted(folder.iterdir()):
        tar.add(path, f"{below}{path.name}", filter=fix)


def plain(name: str, mode: int) -> tarfile.TarInfo:
    """An entry without a history."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = mode, STAMP
    return entry


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _config(image: Image) -> object:
    runs = {"Entrypoint": image.entry, "Cmd": image.command, "User": image.user, "WorkingDir": image.folder}
    layers = [f"sha256:{layer.digest}" for layer in image.layers]  # not compressed: one digest for both
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {**runs, "Env": [PATH, *image.env]},
        "rootfs": {"type": "layers", "diff_ids": layers},
    }
