"""Rows of the hub itself: who may sign in, limits, scheduling, what stands before it (DOMAIN C).

The chart's own ingress is off: our gate stands before the hub's proxy, so that no ingress controller decides who serves.
"""

from __future__ import annotations

from federation.core.chart_values.row import Given, Row, Value, always, row
from federation.model.classroom_people import Admit, AuthType, Sync
from federation.model.scalars import TESTER

AUTHENTICATORS = {
    AuthType.GITHUB: "GitHubOAuthenticator",
    AuthType.GLOBUS: "GlobusOAuthenticator",
    AuthType.CILOGON: "CILogonOAuthenticator",
    AuthType.DUMMY: "DummyAuthenticator",
}
MANY_USERS = 200
LARGE_PROXY = {"requests": {"memory": "512Mi"}, "limits": {"memory": "2Gi"}}
CULL_EVERY_S = 600
FAILED_SPAWNS = 20  # the chart's 5 restart the hub of a whole class because a few servers did not start
SCOPES = [
    *("list:users", "admin:users", "admin:servers", "read:hub", "read:metrics"),
    *("tokens", "access:servers"),
]
"""What the site's agent may do in the hub: read the roster, see who works, stop and start servers; and hand out what a test
server needs, for nobody can give what they do not have."""


def _authenticator(given: Given) -> Value:
    """The options of the authenticator; what is secret comes beside the values, and never in them."""
    options: dict[str, Value] = {}
    if given.spec.auth.type is not AuthType.DUMMY:
        options["oauth_callback_url"] = f"https://{given.spec.dns.host}/hub/oauth_callback"
    return {**options, **given.spec.auth.options} or None


def _allowed(given: Given) -> Value:
    return list(given.spec.roster.users) if given.spec.roster.admit is Admit.ROSTER else None


def _everybody(given: Given) -> Value:
    return True if given.spec.roster.admit is Admit.ANYONE_WITH_PASSWORD else None


def _two_way(given: Given) -> Value:
    return True if given.spec.roster.sync is Sync.TWO_WAY else None


def _cull(given: Given) -> Value:
    return given.spec.limits.cull_after > 0 or given.spec.limits.max_age > 0


def _proxy_size(given: Given) -> Value:
    return LARGE_PROXY if given.spec.roster.expected > MANY_USERS else None


ROWS: tuple[Row, ...] = (
    row("roster.admins", "hub/config/Authenticator/admin_users", lambda g: list(g.spec.roster.admins)),
    row("roster.users", "hub/config/Authenticator/allowed_users", _allowed),
    row("roster.admit", "hub/config/Authenticator/allow_all", _everybody),
    row("(hubfed)", "hub/config/Authenticator/blocked_users", always([TESTER])),
    row("roster.sync", "hub/config/Authenticator/allow_existing_users", _two_way),
    row("auth.type", "hub/config/JupyterHub/authenticator_class", lambda g: g.spec.auth.type.value),
    Row("auth.options", ("hub", "config", "*"), _authenticator),
    row("(hubfed)", "hub/services/hubfed", always({})),  # the chart draws its token
    row("(hubfed)", "hub/loadRoles/hubfed", always({"scopes": SCOPES, "services": ["hubfed"]})),
    row("(hubfed)", "hub/db/type", always("sqlite-pvc")),
    row("(hubfed)", "hub/db/pvc/storage", always("1Gi")),
    row("(site)", "hub/db/pvc/storageClassName", lambda g: g.site.storage_class or None),
    row("limits.concurrent_spawns", "hub/concurrentSpawnLimit", lambda g: g.spec.limits.concurrent_spawns),
    row("limits.active_servers", "hub/activeServerLimit", lambda g: g.spec.active_server_limit),
    row("(hubfed)", "hub/consecutiveFailureLimit", always(FAILED_SPAWNS)),
    row("limits", "cull/enabled", _cull),
    row("limits.cull_after", "cull/timeout", lambda g: g.spec.limits.cull_after or None),
    row("limits.max_age", "cull/maxAge", lambda g: g.spec.limits.max_age),
    row("(hubfed)", "cull/every", always(CULL_EVERY_S)),
    row("(hubfed)", "cull/users", always(value=False)),
    row("(hubfed)", "hub/config/KubeSpawner/delete_pvc", always(value=False)),  # a user who is taken off keeps the home
    # which claim is a home is said by the template alone, not by what a database from another site remembers
    row("(hubfed)", "hub/config/KubeSpawner/remember_pvc_name", always(value=False)),
    row("dns.host", "ingress/enabled", always(value=False)),
    row("(hubfed)", "proxy/service/type", always("ClusterIP")),
    row("roster.expected", "proxy/chp/resources", _proxy_size),
    # the chart lets everybody in; our chart `classroom` says who may come
    row("(hubfed)", "proxy/chp/networkPolicy/allowedIngressPorts", always([])),
    row("meetings", "scheduling/podPriority/enabled", always(value=True)),
    row("meetings", "scheduling/userPlaceholder/enabled", always(value=True)),
    row("meetings", "scheduling/userPlaceholder/replicas", always(0)),
    row("(hubfed)", "scheduling/userScheduler/enabled", always(value=True)),
    row(
        "(site)",
        "scheduling/corePods/nodeAffinity/matchNodePurpose",
        lambda g: "require" if g.site.core_nodes else "ignore",
    ),
    row("(site)", "scheduling/userPods/nodeAffinity/matchNodePurpose", always("ignore")),
    row("(site)", "prePuller/hook/enabled", lambda g: g.site.pull_images),
    row("(site)", "prePuller/continuous/enabled", lambda g: g.site.pull_images),
    row("(hubfed)", "custom/hubfed", lambda g: {"classroom": g.classroom.name, "hub": g.hub}),
)
