"""What runs of a local federation, found by the marks that every one of its processes carries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.cli.local.layout import Choices, Layout
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import Found, Processes

ROLES = ("etcd", "coordinator", "agent", "fencer", "edge", "hub", "proxy", "server", "frontdoor")
STARTED_BY_AGENTS = ("edge", "hub", "proxy", "server")  # they inherit their agent's name
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LOCAL_ADDRESS = re.compile(r"127\.0\.0\.1:[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Running:
    """One process of the federation. `address` is empty for agents and fencers, which listen nowhere."""

    site: str
    role: str
    hub: str
    pid: int
    address: str
    log: str

    def document(self) -> dict[str, object]:
        """For -o json."""
        return {name: getattr(self, name) for name in ("site", "role", "hub", "pid", "address", "log")}


def running(layout: Layout, choices: Choices, processes: Processes) -> list[Running]:
    """The first process of each role; what it started itself (kernels, npm) is not listed."""
    found = [f for f in processes.find(layout.marks) if f.marks.get("HUBFED_ROLE") in ROLES]
    by_pid = {f.pid: f for f in found}
    heads = [f for f in found if not _same(by_pid.get(f.parent), f)]
    return sorted(
        (_running(f.pid, f.marks, layout, choices) for f in heads),
        key=lambda r: (ROLES.index(r.role), r.site, r.hub, r.pid),
    )


def _same(parent: Found | None, child: Found) -> bool:
    keys = ("HUBFED_ROLE", "HUBFED_NAME", "HUBFED_SITE", "HUBFED_HUB")
    return parent is not None and all(parent.marks.get(k) == child.marks.get(k) for k in keys)


def _running(pid: int, marks: Mapping[str, str], layout: Layout, choices: Choices) -> Running:
    role, site, hub = marks["HUBFED_ROLE"], marks.get("HUBFED_SITE", ""), marks.get("HUBFED_HUB", "")
    name, address, log = marks.get("HUBFED_NAME", ""), "", ""
    if role not in STARTED_BY_AGENTS:
        address = choices.address(name) if name in choices.ports else ""
        log = str(layout.log(name)) if name else ""
    elif site in choices.sites:
        address, log = _started_by_agent(role, layout.state("sites", site), hub, marks)
    return Running(site, role, hub, pid, address, log)


def _started_by_agent(role: str, state: Path, hub: str, marks: Mapping[str, str]) -> tuple[str, str]:
    """Address and log, as the agent keeps them in its state directory. A server's marks may be a student's own words:
    what is not of the right form is not shown."""
    if role == "edge":
        port = (LocalDisk().read(state / "edge" / "port") or b"").decode()
        return f"127.0.0.1:{port}" if port else "", str(state / "edge" / "edge.log")
    folder = state / "hubs" / hub
    if role != "server":
        return _address_of(folder, role), str(folder / f"{role}.log")
    address, user = marks.get("HUBFED_ADDRESS", ""), marks.get("HUBFED_USER", "")
    log = str(folder / "logs" / f"{user}.log") if FILE_NAME.fullmatch(user) else ""
    return address if LOCAL_ADDRESS.fullmatch(address) else "", log


def _address_of(folder: Path, role: str) -> str:
    content = LocalDisk().read(folder / "hub.json")
    try:
        return f"127.0.0.1:{int(json.loads(content or b'')['ports'][role])}"
    except (ValueError, KeyError, TypeError):
        return ""  # it is being made or removed
