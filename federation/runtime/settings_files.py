"""Reads the files of daemons and verbs; everything that is wrong is said at once, with line and column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from federation.model.errors import InvalidRequest
from federation.model.federation_file import FederationFile
from federation.model.files.finding import Checked
from federation.model.files.load import read_federation, read_site, read_upstream
from federation.model.site_file import SiteFile
from federation.model.upstream_charts import UpstreamCharts

F = TypeVar("F")


def load_site(path: Path) -> SiteFile:
    """A site file. InvalidRequest lists every finding."""
    return _load(path, read_site)


def load_federation(path: Path) -> FederationFile:
    """A federation file. InvalidRequest lists every finding."""
    return _load(path, read_federation)


def load_upstream(path: Path) -> UpstreamCharts:
    """A list of upstream charts. InvalidRequest lists every finding."""
    return _load(path, read_upstream)


def _load(path: Path, read: Callable[[str, bytes], Checked[F]]) -> F:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from error
    checked = read(str(path), content)
    if checked.findings:
        raise InvalidRequest("\n".join(str(finding) for finding in checked.findings))
    return checked.values[0]
