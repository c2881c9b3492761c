"""JupyterHub's own settings, made from the hub's file. Runs in JupyterHub, called by `jupyterhub_config.py`."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from agents.drivers.local.hub_file import HubFile, HubSettings
from agents.drivers.local.sign_in import CLASSES, authenticator, notice_of
from agents.drivers.local.spawner import StudentSpawner


class Announcement:
    """Shown on every page of the hub while it drains; read anew for each page. Jinja asks whether it is there, then for
    its text, which is escaped here: the template trusts what it is given."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __bool__(self) -> bool:
        return bool(notice_of(self._file))

    def __html__(self) -> str:
        return escape(notice_of(self._file))

    __str__ = __html__


def apply(c: Any, path: Path) -> None:
    """Fill the configuration object `c`."""
    file = HubFile.read(path)
    if file is None:
        raise SystemExit(f"{path} is missing")
    folder = path.parent
    hub = c.JupyterHub
    hub.bind_url = f"http://127.0.0.1:{file.ports.proxy}"
    hub.hub_bind_url = f"http://127.0.0.1:{file.ports.hub}"
    hub.db_url = f"sqlite:///{folder / 'hub.sqlite'}"
    hub.cookie_secret = bytes.fromhex(file.secrets.cookie_secret)
    hub.cleanup_servers = False  # students' servers and the proxy live on when the hub ends
    hub.cleanup_proxy = False
    # the roster names admins, and JupyterHub lets only an admin make another; no narrower scope can
    hub.services = [{"name": "hubfed", "api_token": file.secrets.api_token, "admin": True}]
    hub.concurrent_spawn_limit = file.hub_settings.concurrent_spawns
    hub.active_server_limit = file.hub_settings.active_servers
    hub.log_level = "INFO"
    hub.template_vars = {"announcement": Announcement(path)}
    proxy = c.ConfigurableHTTPProxy
    proxy.should_start = False
    proxy.api_url = f"http://127.0.0.1:{file.ports.proxy_api}"
    proxy.auth_token = file.secrets.proxy_token
    proxy.check_running_interval = 2
    hub.spawner_class = StudentSpawner
    c.Spawner.start_timeout = file.hub_settings.start_timeout_s
    c.Spawner.http_timeout = min(120, file.hub_settings.start_timeout_s)
    c.Spawner.poll_interval = 5
    c.Spawner.default_url = "/lab"
    c.Spawner.env_keep = []
    _sign_in(c, file, path)


def _sign_in(c: Any, file: HubFile, path: Path) -> None:
    settings = file.hub_settings
    c.JupyterHub.authenticator_class = authenticator(settings.auth_type, path)
    c.Authenticator.allowed_users = set(file.roster.names)
    c.Authenticator.admin_users = set(file.roster.admins)
    c.Authenticator.allow_existing_users = True
    c.Authenticator.allow_all = settings.admit == "anyone-with-password"
    c.Authenticator.enable_auth_state = False
    if settings.auth_type == "dummy":
        c.DummyAuthenticator.password = settings.auth_secret
    else:
        _oauth(c, settings)


def _oauth(c: Any, settings: HubSettings) -> None:
    """The secret is a JSON object with client_id and client_secret."""
    section = getattr(c, CLASSES[settings.auth_type][1])
    keys = json.loads(settings.auth_secret)
    section.client_id, section.client_secret = keys["client_id"], keys["client_secret"]
    section.oauth_callback_url = f"{settings.public_url.rstrip('/')}/hub/oauth_callback"
    for name, value in settings.auth_options.items():
        setattr(section, name, value)
