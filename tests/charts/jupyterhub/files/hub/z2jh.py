"""What the chart gave to the hub: its values, its secrets, the names of its objects.

The module has the name of the upstream chart's, and so have its functions, because lines in `hub.extraConfig` import them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

MOUNTED = Path("/usr/local/etc/jupyterhub")
CHARTS_OWN, GIVEN = MOUNTED / "secret", MOUNTED / "existing-secret"


@functools.cache
def values() -> dict[str, Any]:
    """Those of the release. An administrator's own secret (`hub.existingSecret`) may bring more, which win."""
    found: dict[str, Any] = {}
    for folder in (CHARTS_OWN, GIVEN):
        file = folder / "values.yaml"
        if file.exists():
            found = _over(found, yaml.safe_load(file.read_text()) or {})
    return found


def get_config(path: str, default: Any = None) -> Any:
    """The value at `a.b.c`; the default if there is none."""
    found: Any = values()
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            return default
        found = found[key]
    return found


def set_config_if_not_none(part: Any, option: str, path: str) -> None:
    """A value that was left out leaves the option as the program has it."""
    value = get_config(path)
    if value is not None:
        setattr(part, option, value)


def get_secret_value(key: str) -> str:
    """A token or key: the administrator's own, or what the chart has drawn."""
    for folder in (GIVEN, CHARTS_OWN):
        if (folder / key).exists():
            return (folder / key).read_text()
    raise KeyError(f"no {key} in the hub's secrets")


def get_name(name: str) -> str:
    """How an object of the chart is called in this release."""
    prefix = get_config("fullnameOverride")
    return f"{prefix}-{name}" if prefix else name


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _over(found[key], value) if both else value
    return found
