"""What a hub's chart is given, beyond what its classroom says; each row of the classroom's part has its own test."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tornado import web

from agents.drivers.base import HubOrder
from agents.drivers.kubernetes.hub_record import HubSecrets
from agents.drivers.kubernetes.hub_values import HubValues, check_sign_in, hub_values
from federation.core.chart_values.row import SitePart
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from tests.support.local_site import PASSWORD, order

SECRETS = HubSecrets(api_token="api", proxy_token="proxy", cookie_secret="cookie")


def values(wanted: HubOrder | None = None, own: dict[str, Any] | None = None) -> HubValues:
    return hub_values(wanted or order(), SitePart(), own or {}, SECRETS)


def test_secrets_are_where_the_chart_looks_for_them() -> None:
    found = values().all
    assert found["hub"]["cookieSecret"] == "cookie"
    assert found["hub"]["services"]["hubfed"] == {"apiToken": "api"}
    assert found["proxy"]["secretToken"] == "proxy"
    assert found["hub"]["config"]["DummyAuthenticator"]["password"] == PASSWORD


def test_keys_of_an_outside_sign_in_are_two() -> None:
    keys = {"client_id": "id", "client_secret": "s"}
    github = order(auth={"type": "github", "secret": "keys"})
    found = values(replace(github, secrets={"auth": json.dumps(keys)})).all
    assert found["hub"]["config"]["GitHubOAuthenticator"] | keys == found["hub"]["config"]["GitHubOAuthenticator"]
    for wrong in ("no json", "[]", '{"client_id": "id"}'):
        with pytest.raises(DriverError, match="not an object with client_id and client_secret") as error:
            values(replace(github, secrets={"auth": wrong}))
        assert wrong not in error.value.message


def test_an_empty_secret_is_refused_before_the_cluster_is_touched() -> None:
    with pytest.raises(DriverError, match="secret for sign-in is empty"):
        check_sign_in(replace(order(), secrets={}))
    check_sign_in(order())


def test_the_site_beats_us_and_the_class_beats_the_site() -> None:
    class_says = order(overrides={"values": {"singleuser": {"startTimeout": 900}}})
    site_says = {"singleuser": {"startTimeout": 700, "image": {"pullPolicy": "Never"}}}
    found = values(class_says, site_says).all["singleuser"]
    assert found["startTimeout"] == 900
    assert found["image"]["pullPolicy"] == "Never"
    assert values(order(), site_says).all["singleuser"]["startTimeout"] == 700


def test_a_new_epoch_or_generation_alone_changes_nothing() -> None:
    """Or Helm would run, and the hub restart, at every move of an ownership."""
    before = values()
    after = values(order(epoch=Epoch(era=2, n=7), generation=9))
    assert before == after


def test_what_servers_are_started_with_has_a_name_of_its_own() -> None:
    before = values()
    assert values(order(limits={"cull_after": 7200})).server == before.server
    other = values(order(image={"name": "unidata/atm101", "tag": "newer"}))
    assert other.server != before.server
    assert other.all["singleuser"]["extraLabels"]["hubfed.io/server"] == other.server
    assert other.all["singleuser"]["extraLabels"]["hub.jupyter.org/network-access-hub"] == "true"


def test_a_notice_closes_the_hub_for_who_comes_and_changes_no_server() -> None:
    said = 'it moves; "back" at 15:00 <script>\n'
    before, after = values(), values(replace(order(), notice=said))
    assert after.server == before.server
    (program,) = after.all["hub"]["extraConfig"].values()
    scope: dict[str, Any] = {"c": _Anything()}
    exec(program, scope)
    with pytest.raises(web.HTTPError, match="503") as closed:
        scope["nobody"]()
    assert closed.value.log_message == said
    assert "<script>" not in after.all["hub"]["templateVars"]["announcement"]
    assert "extraConfig" not in before.all["hub"]


def test_nothing_secret_is_shown_by_accident() -> None:
    shown = f"{values()!r} {SECRETS!r}"
    for secret in ("cookie'", "'api'", PASSWORD):
        assert secret not in shown


class _Anything:
    def __getattr__(self, name: str) -> _Anything:
        made = _Anything()
        self.__dict__[name] = made
        return made
