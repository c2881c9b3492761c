"""Which processes of a hub live, by role, as a scan of the machine sees them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from agents.drivers.local.marks import HUB, PROXY
from agents.drivers.local.settings import LocalSettings
from federation.core.fencing import canary_of
from federation.model.scalars import TESTER
from federation.runtime.cgroups import Cgroups
from federation.runtime.processes import Found, Processes


@dataclass(frozen=True, slots=True)
class Census:
    """One look at one hub."""

    found: tuple[Found, ...]

    @property
    def hub_lives(self) -> bool:
        """The JupyterHub process itself."""
        return any(found.marks.get("HUBFED_ROLE") == HUB for found in self.found)

    @property
    def proxy_lives(self) -> bool:
        """The hub's own proxy."""
        return any(found.marks.get("HUBFED_ROLE") == PROXY for found in self.found)

    @property
    def servers(self) -> Mapping[str, str]:
        """Student (safe name) -> the settings that their server was started with. A test server is no student's."""
        marks = (found.marks for found in self.found)
        return {m["HUBFED_USER"]: m.get("HUBFED_SERVER", "") for m in marks if m.get("HUBFED_USER", TESTER) != TESTER}


async def look(settings: LocalSettings, processes: Processes, cgroups: Cgroups, hub: str) -> Census:
    """Scan in a thread: /proc has no other way, and it takes milliseconds."""
    group = cgroups.group(hub)
    found = await asyncio.to_thread(processes.find, settings.marks(HUB=hub), group)
    return Census(tuple(found))


async def servers_here(settings: LocalSettings, processes: Processes) -> dict[str, int]:
    """How many students' servers each hub runs here, in one scan for all."""
    found = await asyncio.to_thread(processes.find, settings.marks())
    running = {
        (f.marks["HUBFED_HUB"], f.marks["HUBFED_USER"])
        for f in found
        if {"HUBFED_HUB", "HUBFED_USER"} <= f.marks.keys()
    }
    return Counter(hub for hub, _user in running)


async def hubs_here(settings: LocalSettings, processes: Processes) -> tuple[str, ...]:
    """Every hub of which anything runs here; the canary is none."""
    found = await asyncio.to_thread(processes.find, settings.marks())
    hubs = {f.marks["HUBFED_HUB"] for f in found if f.marks.get("HUBFED_HUB")}
    return tuple(sorted(hubs - {canary_of(settings.site)}))
