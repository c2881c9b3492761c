"""Who may sign in to a hub: each authenticator, with the roster read from the hub's file at each sign-in.

Runs in JupyterHub. Names added on the hub's admin page stay allowed; names that left the roster are deleted by the
agent through the API, which ends their sign-in at once.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tornado import web

from agents.drivers.local.hub_file import HubFile, Roster
from federation.model.scalars import TESTER

CLASSES = {
    "dummy": ("jupyterhub.auth", "DummyAuthenticator"),
    "github": ("oauthenticator.github", "GitHubOAuthenticator"),
    "globus": ("oauthenticator.globus", "GlobusOAuthenticator"),
    "cilogon": ("oauthenticator.cilogon", "CILogonOAuthenticator"),
}


def notice_of(file: Path) -> str:
    """What whoever comes is told while the hub lets nobody new in; empty: it does."""
    found = HubFile.read(file)
    return found.notice if found is not None else ""


def authenticator(kind: str, file: Path) -> type[Any]:
    """The class for `kind`, reading the roster from `file`."""
    module, name = CLASSES[kind]
    wrapped: type[Any] = getattr(importlib.import_module(module), name)

    def now() -> Roster:
        found = HubFile.read(file)
        return found.roster if found is not None else Roster()

    class FromRoster(wrapped):  # type: ignore[misc]
        async def get_authenticated_user(self, handler: Any, data: Any) -> Any:
            if notice := notice_of(file):
                raise web.HTTPError(503, notice, reason="Moving")
            return await super().get_authenticated_user(handler, data)

        def check_blocked_users(self, username: str, authentication: Any = None) -> Any:
            """Asked before `check_allowed`, and also where anybody may come; the service may know somebody of that name."""
            return username != TESTER and super().check_blocked_users(username, authentication)

        async def check_allowed(self, username: str, authentication: Any = None) -> bool:
            if username in now().names:
                return True
            allowed = super().check_allowed(username, authentication)
            return bool(await allowed if hasattr(allowed, "__await__") else allowed)

        async def is_admin(self, handler: Any, authentication: dict[str, Any]) -> bool | None:  # noqa: ARG002
            return True if authentication["name"] in now().admins else None

    FromRoster.__name__ = f"Roster{name}"
    return FromRoster
