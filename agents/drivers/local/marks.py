"""How the processes of a `local` site are told from all others: marks in their environment. Standard library alone."""

from __future__ import annotations

from pathlib import Path

HUB, PROXY, SERVER, EDGE, COPY = "hub", "proxy", "server", "edge", "copy"
"""Values of ROLE."""
HUBS = "hubs"
"""Folder of the state directory with one folder per hub."""
HUB_FILE_NAME = "hub.json"


def site_marks(federation: str, site: str, **more: str) -> dict[str, str]:
    """Marks of a site's processes, e.g. `site_marks(dir, "iu", HUB=hub, ROLE="proxy")`."""
    named = {"DIR": federation, "SITE": site, **more}
    return {f"HUBFED_{name}": value for name, value in named.items()}


def table_file(state_dir: Path) -> Path:
    """Where an agent keeps the table of its site's edge."""
    return state_dir / "edge" / "routes.json"
