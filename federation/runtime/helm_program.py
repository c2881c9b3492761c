"""Finding a Helm: the one that HELM names, one on PATH, or the one that `scripts/get-helm` has built. Starts nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from federation.model.errors import Unavailable


def find_helm(env: Mapping[str, str] = os.environ) -> Path:
    """Unavailable says how to get one. Which version it is shows when it is first asked."""
    named = env.get("HELM")
    found = shutil.which(named or "helm", path=env.get("PATH", os.defpath))
    if found:
        return Path(found)
    if named:
        raise Unavailable(f"HELM is {named}, and no program is there", help=GET)
    cache = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/")) / ".cache") / "hubfed"
    built = sorted(cache.glob("helm-*/helm"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise Unavailable("no Helm was found, which installs hubs in a cluster", help=GET)
    return built[-1]


GET = "Install Helm 3 or 4, or run `make tools`, which needs no root."
