"""The federation file and the site files of a local federation, as an admin would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import yaml

from federation.cli.local.domains import FRONT_DOOR, Domain, agent_of
from federation.model.federation_file import WITNESS
from federation.runtime.disk import Disk

if TYPE_CHECKING:
    from federation.cli.local.layout import Choices, Layout

USER = "admin"
CPU, MEMORY = 30, "60G"
KEPT = ("hooks", "alarm_after", "server_test_every")


def write_files(layout: Layout, choices: Choices, disk: Disk) -> None:
    """Write them; what was there is replaced, but for what somebody wrote into the federation file of hooks and tests."""
    federation = {
        "profile": choices.profile,
        "register": {
            "uuid": choices.uuid,
            "endpoints": [choices.address(domain.etcd) for domain in choices.domains],
            "tls": _paths("pki", "register"),
        },
        "coordinators": [
            _coordinator(choices, domain, name) for domain in choices.domains for name in domain.coordinators
        ],
        "names": {
            "driver": "frontdoor",
            "zone": "localhost",
            "file": str(layout.names),
            "address": choices.address(FRONT_DOOR),
        },
        "admins": [USER],
        **_kept(disk.read(layout.federation)),
    }
    disk.replace(layout.federation, _document("Federation", choices.name, federation))
    for site in choices.sites:
        spec = {
            "kind": "local",
            "capacity": {"cpu": CPU, "memory": MEMORY},
            "copies": {"store": str(layout.copies)},
            "agent": {
                "coordinators": [choices.address(name) for name in choices.coordinators],
                "peer_address": choices.address(agent_of(site)),
                "profile": choices.profile,
                "tls": _paths("../pki", f"agent-{site}"),
            },
        }
        disk.replace(layout.site_file(site), _document("Site", site, spec))


def _kept(before: bytes | None) -> dict[str, object]:
    """What an earlier file says about them; a file that cannot be read says nothing."""
    try:
        body = yaml.safe_load(before or b"")
        spec = body["spec"] if isinstance(body, dict) else {}
        return {name: spec[name] for name in KEPT if name in spec}
    except (yaml.YAMLError, KeyError, TypeError):
        return {}


def _coordinator(choices: Choices, domain: Domain, name: str) -> dict[str, object]:
    place: dict[str, object] = {"witness": True} if domain.name == WITNESS else {"site": domain.name}
    member = choices.address(domain.etcd)
    return {"id": name, **place, "listen": choices.address(name), "member": member, "tls": _paths("pki", name)}


def _paths(folder: str, name: str) -> dict[str, str]:
    return {"ca": f"{folder}/{name}.ca.pem", "cert": f"{folder}/{name}.pem", "key": f"{folder}/{name}.key"}


def _document(kind: str, name: str, spec: Mapping[str, object]) -> bytes:
    body = {"apiVersion": "hubfed/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return yaml.safe_dump(body, sort_keys=False).encode()
