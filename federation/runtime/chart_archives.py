"""Archives of upstream charts in a folder: are they there, and are they the pinned ones? Reads only.

`chart_pull` brings them, an agent installs from them.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import yaml

import federation
from federation.model.upstream_charts import ARCHIVE, PinnedChart

CHUNK_BYTES = 1 << 20
PINS = "upstream.yaml"


class State(StrEnum):
    """What a folder has of a chart."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"  # not the pinned bytes
    UNPINNED = "unpinned"  # there, and nobody has said which bytes are right
    SEVERAL = "several"  # right, and others of its name beside it: an agent would not know which is meant


@dataclass(frozen=True, slots=True)
class Looked:
    """One look. `digest`: of the archive that is there; empty: none is. `others`: further archives of its name."""

    chart: PinnedChart
    state: State
    digest: str = ""
    others: tuple[str, ...] = ()


def shipped_pins() -> Path:
    """The list that belongs to this version: in the package, or in a checkout beside it."""
    package = Path(federation.__file__).parent
    packaged = package / PINS
    return packaged if packaged.exists() else package.parent / "charts" / PINS


def digest_of(path: Path) -> str:
    """`sha256:` and the hexadecimal digits. OSError if it cannot be read."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def look(folder: Path, chart: PinnedChart) -> Looked:
    """What is there of it. OSError if it is there and cannot be read."""
    path = folder / chart.archive
    others = tuple(found.name for found in archives_of(folder, chart.name) if found != path)
    if not path.is_file():
        return Looked(chart, State.MISSING, others=others)
    found = digest_of(path)
    if chart.digest is None:
        return Looked(chart, State.UNPINNED, found, others)
    if found != chart.digest:
        return Looked(chart, State.WRONG, found, others)
    return Looked(chart, State.SEVERAL if others else State.OK, found, others)


def archives_of(folder: Path, name: str) -> list[Path]:
    """Of every version, and of no chart whose name only begins with this one."""
    return sorted(folder.glob(f"{name}-[v0-9]*{ARCHIVE}"))


def chart_inside(path: Path) -> tuple[str, str]:
    """Name and version that the archive itself says; empty if it is no chart."""
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                if entry.name.count("/") == 1 and entry.name.endswith("/Chart.yaml"):
                    file = archive.extractfile(entry)
                    said = yaml.safe_load(file.read()) if file is not None else {}
                    return str(said["name"]), str(said["version"])
    except (OSError, EOFError, KeyError, TypeError, tarfile.TarError, yaml.YAMLError):
        pass
    return "", ""
