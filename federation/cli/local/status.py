"""What runs of a local federation, found by the marks that every one of its processes carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federation.cli.local.layout import Choices, Layout
from federation.runtime.processes import Found, Processes

ROLES = ("etcd", "coordinator", "agent", "fencer", "edge", "hub", "proxy", "server", "frontdoor")


@dataclass(frozen=True, slots=True)
class Running:
    """One process of the federation."""

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
    role, name = marks["HUBFED_ROLE"], marks.get("HUBFED_NAME", "")
    address = choices.address(name) if name in choices.ports else ""
    log = str(layout.log(name)) if name else ""
    site, hub = marks.get("HUBFED_SITE", ""), marks.get("HUBFED_HUB", "")
    if not name and hub:
        log = str(layout.state("sites", site, "hubs", hub))
    return Running(site, role, hub, pid, address, log)
