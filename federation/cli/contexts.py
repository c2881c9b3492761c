"""Contexts: which federation fedctl talks to, and with which certificate. Kept in $XDG_CONFIG_HOME/hubfed/contexts.json.

Chosen by --context, else $FEDCTL_CONTEXT, else the current one.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from federation.model.errors import InvalidRequest, NotFound
from federation.runtime.disk import LocalDisk


@dataclass(frozen=True, slots=True)
class Context:
    """Addresses of all coordinators, and the user's certificate."""

    name: str
    coordinators: tuple[str, ...]
    ca: str
    cert: str
    key: str


def contexts_file() -> Path:
    """Where contexts are kept."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "hubfed" / "contexts.json"


def load_contexts() -> tuple[str, dict[str, Context]]:
    """The current context's name (may be empty) and all contexts. InvalidRequest if the file is damaged."""
    path = contexts_file()
    content = LocalDisk().read(path)
    if content is None:
        return "", {}
    try:
        body = json.loads(content)
        found = {
            name: Context(name=name, **{**fields, "coordinators": tuple(fields["coordinators"])})
            for name, fields in body["contexts"].items()
        }
        return str(body["current"]), found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"{path} is damaged: {error}", help="Correct it or delete it; `fedctl up` writes it."
        ) from error


def choose_context(wanted: str | None) -> Context:
    """The context to use. NotFound says how to get one."""
    current, contexts = load_contexts()
    name = wanted or os.environ.get("FEDCTL_CONTEXT") or current
    if name in contexts:
        return contexts[name]
    known = f"known are: {', '.join(sorted(contexts))}" if contexts else "there is none yet"
    raise NotFound(
        f"no context is named {name!r}; {known}" if name else f"no context is chosen; {known}",
        help="`fedctl up` starts a federation on this machine and makes one; `fedctl context use NAME` chooses.",
    )


def save_context(context: Context, *, make_current: bool = True) -> None:
    """Add or replace a context."""
    current, contexts = load_contexts()
    _save(context.name if make_current or not current else current, {**contexts, context.name: context})


def use_context(name: str) -> None:
    """Make a context the current one."""
    _current, contexts = load_contexts()
    if name not in contexts:
        raise NotFound(f"no context is named {name!r}; known are: {', '.join(sorted(contexts)) or 'none'}")
    _save(name, contexts)


def forget_context(name: str) -> None:
    """Remove a context; an unknown one is fine."""
    current, contexts = load_contexts()
    if contexts.pop(name, None) is not None:
        _save("" if current == name else current, contexts)


def _save(current: str, contexts: dict[str, Context]) -> None:
    fields = {name: {k: v for k, v in asdict(c).items() if k != "name"} for name, c in sorted(contexts.items())}
    LocalDisk().replace(contexts_file(), json.dumps({"current": current, "contexts": fields}, indent=1).encode())
