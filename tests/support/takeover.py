"""Looks that tests of takeovers share: where a class is, and where each site lets users in."""

from __future__ import annotations

import json

from tests.support.federation import Federation, until


def edges(here: Federation) -> dict[str, str]:
    """host:port of each site's edge."""
    items = json.loads(here.fedctl("sites", "-o", "json").out)["items"]
    return {item["metadata"]["name"]: item["status"]["edge_address"] for item in items}


def site_of(here: Federation, name: str) -> str:
    """Whose the class is."""
    return str(here.hub(name)["status"]["site"])


def wait_until_armed(here: Federation, name: str, site: str, every_s: float = 0.1) -> None:
    """At this site, and to be taken over if it dies."""

    def armed() -> bool:
        return site_of(here, name) == site and here.condition(name, "Protected") == "True"

    until(armed, f"{name} is armed at {site}", 120, here.logs, every_s)


def wait_until_served_at(here: Federation, name: str, site: str) -> None:
    """Whatever it takes for the other site to have it, under its name."""
    until(lambda: site_of(here, name) == site, f"{site} takes over", 90, here.logs)
    until(lambda: here.serves(name) and here.login_page(name), "it serves under its name", 120, here.logs)
