"""A Helm release as it is seen, and what tells one from another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any


class Status(StrEnum):
    """Helm's words."""

    UNKNOWN = "unknown"
    DEPLOYED = "deployed"
    UNINSTALLED = "uninstalled"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    UNINSTALLING = "uninstalling"
    PENDING_INSTALL = "pending-install"
    PENDING_UPGRADE = "pending-upgrade"
    PENDING_ROLLBACK = "pending-rollback"

    @classmethod
    def _missing_(cls, value: object) -> Status:  # noqa: ARG003 - whatever it is
        return cls.UNKNOWN

    @property
    def unfinished(self) -> bool:
        """A Helm is at work on it, or was and did not end it: the next one refuses to touch it."""
        return self is Status.UNINSTALLING or self.startswith("pending-")


@dataclass(frozen=True, slots=True)
class Release:
    """Its last revision. `chart` is name-version."""

    namespace: str
    name: str
    revision: int
    status: Status
    chart: str
    description: str


def fingerprint(chart: Path, values: Mapping[str, Any]) -> str:
    """Tells whether a release would be another one: a digest of the chart's files and the values. `chart` is a folder or an
    archive."""
    digest = sha256()
    files = [chart] if chart.is_file() else sorted(path for path in chart.rglob("*") if path.is_file())
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(chart)}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())
    return digest.hexdigest()
