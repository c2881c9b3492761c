"""Options of the hub itself: where it listens, its database, who may do what, who is stopped when idle."""

from __future__ import annotations

from typing import Any

from tornado.httpclient import AsyncHTTPClient
from z2jh import get_config, get_name, get_secret_value, set_config_if_not_none

PORT, PROXY_PORT = 8081, 8001
DATABASES = {"sqlite-pvc": "sqlite:///jupyterhub.sqlite", "sqlite-memory": "sqlite://"}
LOOK_AT_ACTIVITY_S = 60
PLAIN = {
    "active_server_limit": "activeServerLimit",
    "allow_named_servers": "allowNamedServers",
    "base_url": "baseUrl",
    "concurrent_spawn_limit": "concurrentSpawnLimit",
    "redirect_to_server": "redirectToServer",
    "template_vars": "templateVars",
}
"""Options of JupyterHub, and where below `hub` their values are."""
DRAWN = {"JupyterHub": "cookie_secret", "ConfigurableHTTPProxy": "auth_token", "CryptKeeper": "keys"}
"""What comes from the secret and never from `hub.config`, where it may stand, too."""
CULLER = "jupyterhub-idle-culler"
CULLER_SCOPES = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
CULLER_WORDS = {
    "timeout": "--timeout={}",
    "every": "--cull-every={}",
    "maxAge": "--max-age={}",
    "concurrency": "--concurrency={}",
    "users": "--cull-users",
    "removeNamedServers": "--remove-named-servers",
}


def apply(c: Any) -> None:
    """What the chart decides."""
    AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")
    hub = c.JupyterHub
    hub.hub_bind_url = f"http://:{PORT}"
    hub.hub_connect_url = f"http://{get_name('hub')}:{PORT}"
    hub.db_url = DATABASES[get_config("hub.db.type")]
    hub.cleanup_servers = False  # students work on while the hub is restarted
    hub.last_activity_interval = LOOK_AT_ACTIVITY_S
    hub.tornado_settings = {"slow_spawn_timeout": 0}  # straight to the page that shows progress
    hub.cookie_secret = get_secret_value("hub.config.JupyterHub.cookie_secret")
    c.CryptKeeper.keys = get_secret_value("hub.config.CryptKeeper.keys").split(";")
    c.ConfigurableHTTPProxy.should_start = False  # its token is in the environment
    c.ConfigurableHTTPProxy.api_url = f"http://{get_name('proxy-api')}:{PROXY_PORT}"
    for option, path in PLAIN.items():
        set_config_if_not_none(hub, option, f"hub.{path}")
    if get_config("debug.enabled"):
        hub.log_level = "DEBUG"
    hub.services = [_service(name, given or {}) for name, given in (get_config("hub.services") or {}).items()]
    hub.load_roles = [{"name": name, **given} for name, given in (get_config("hub.loadRoles") or {}).items()]
    if get_config("cull.enabled"):
        _cull(hub)


def apply_given(c: Any) -> None:
    """`hub.config`, class by class; it wins over everything but the secrets."""
    for section, options in (get_config("hub.config") or {}).items():
        c[section].update({name: value for name, value in options.items() if name != DRAWN.get(section)})


def _service(name: str, given: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in given.items() if key not in ("apiToken", "api_token")}
    return {"name": name, **plain, "api_token": get_secret_value(f"hub.services.{name}.apiToken")}


def _cull(hub: Any) -> None:
    """Who is idle for too long is stopped by a service of the hub."""
    base = (get_config("hub.baseUrl") or "/").rstrip("/")
    words = ["python3", "-m", "jupyterhub_idle_culler", f"--url=http://localhost:{PORT}{base}/hub/api"]
    for key, word in CULLER_WORDS.items():
        if value := get_config(f"cull.{key}"):
            words.append(word.format(value))
    if get_config("cull.adminUsers") is False:
        words.append("--cull-admin-users=false")
    scopes = [*CULLER_SCOPES, *(["admin:users"] if get_config("cull.users") else [])]
    hub.services.append({"name": CULLER, "command": words})
    hub.load_roles.append({"name": CULLER, "scopes": scopes, "services": [CULLER]})
