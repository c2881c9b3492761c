"""Where a hub is reached, whatever kind of site it runs at. No more than that: hubs themselves import it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Each as host:port: the hub itself, and through its proxy as its users reach it."""

    hub: str  # uid name
    direct: str
    proxy: str
    token: str = field(repr=False)
