"""The values that a hub's chart is given: those of the classroom, those of the site, and what is secret. Pure."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.drivers.base import HubOrder
from agents.drivers.kubernetes.hub_record import HubSecrets
from agents.drivers.kubernetes.marks import SERVER
from federation.core.chart_values.hub import AUTHENTICATORS
from federation.core.chart_values.row import Given, SitePart
from federation.core.chart_values.table import merged, values_of
from federation.model.classroom_people import AuthType
from federation.model.errors import DriverError

Values = dict[str, Any]
NOTICE = "00-hubfed-notice"  # extraConfig is read in the order of its names
# In the hub: nobody signs in, no server starts, and whoever comes reads why. Servers that run are left alone.
CLOSED = """
from tornado import web
def nobody(*_arguments, **_more):
    raise web.HTTPError(503, {notice}, reason="Moving")
c.Authenticator.post_auth_hook = nobody
c.Spawner.pre_spawn_hook = nobody
"""


@dataclass(frozen=True, slots=True)
class HubValues:
    """`all` holds secrets: for Helm's standard input and nothing else. `server` names what servers are started with."""

    all: Values = field(repr=False)
    server: str


def hub_values(
    order: HubOrder, site: SitePart, own: Mapping[str, Any], secrets: HubSecrets, homes: int = 0
) -> HubValues:
    """`own`: the site's values, which beat ours; the class's `overrides.values` beat both. `homes`: generation of
    the claims that hold the homes now."""
    values = plain_values(Given(order.classroom, order.hub, site, homes), own)
    server = hashlib.sha256(json.dumps(values.get("singleuser"), sort_keys=True).encode()).hexdigest()[:12]
    values = merged(values, {"singleuser": {"extraLabels": {SERVER: server}}})
    if order.notice:
        closed = CLOSED.format(notice=repr(order.notice))
        said = html.escape(order.notice)  # the hub's pages take it for HTML
        values = merged(values, {"hub": {"extraConfig": {NOTICE: closed}, "templateVars": {"announcement": said}}})
    return HubValues(merged(values, _secret(order, secrets)), server)


def plain_values(given: Given, own: Mapping[str, Any]) -> Values:
    """All that is not secret, as the chart is given it. `own`: the site's values."""
    return merged(merged(values_of(given), own), given.spec.overrides.values)


def check_sign_in(order: HubOrder) -> None:
    """DriverError if what is needed to sign anybody in is not there: before the cluster is touched."""
    _sign_in(order, order.classroom.spec.auth.type)


def _secret(order: HubOrder, secrets: HubSecrets) -> Values:
    """What no document says: it is sealed to the site, or drawn there."""
    auth = order.classroom.spec.auth.type
    return {
        "hub": {
            "cookieSecret": secrets.cookie_secret,
            "services": {"hubfed": {"apiToken": secrets.api_token}},
            "config": {AUTHENTICATORS[auth]: _sign_in(order, auth)},
        },
        "proxy": {"secretToken": secrets.proxy_token},
    }


def _sign_in(order: HubOrder, auth: AuthType) -> Values:
    secret = order.secrets.get("auth", "")
    if not secret:
        raise DriverError(f"{order.hub}: the secret for sign-in is empty", delay_s=None)
    if auth is AuthType.DUMMY:
        return {"password": secret}
    try:
        keys = json.loads(secret)
        return {name: str(keys[name]) for name in ("client_id", "client_secret")}
    except (ValueError, KeyError, TypeError):
        wrong = (
            f"{order.hub}: the secret for sign-in with {auth.value} is not an object with client_id and client_secret"
        )
        raise DriverError(
            wrong, delay_s=None, help='fedctl secret set NAME: {"client_id": ..., "client_secret": ...}'
        ) from None
