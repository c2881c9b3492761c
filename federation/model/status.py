"""Conditions and the status of a hub as the register keeps it: decisions and conditions on change, never heartbeats."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from federation.model.schema import Document, Model


class Truth(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """Hub: SERVING..UP_TO_DATE. Site: READY, FENCED, and what its machines report."""

    SERVING = "Serving"
    OWNED = "Owned"
    NAME_CONVERGED = "NameConverged"
    REACHABLE = "Reachable"  # seen from other places, through its name
    SERVERS_START = "ServersStart"  # a test server started, asked for from other places
    ROOM = "Room"  # seats for a meeting that is near, in a cluster; absent at other times
    DATA_FRESH = "DataFresh"  # the newest copy of the homes is young enough to move the hub by
    PROTECTED = "Protected"
    PEER_CLEAN = "PeerClean"  # no earlier owner has yet to confirm that it closed
    FENCED = "Fenced"  # the site's gate and fencer were proven
    ISOLATED = "Isolated"
    OVERCOMMITTED = "Overcommitted"
    LIMITS_ENFORCED = "LimitsEnforced"
    NODES_READY = "NodesReady"
    READY = "Ready"
    UP_TO_DATE = "UpToDate"


class Condition(Model):
    """One statement that is true now, with its reason (I9)."""

    type: ConditionType
    status: Truth
    reason: str
    message: str = ""
    since: AwareDatetime | None = None


class HubPhase(StrEnum):
    PENDING = "Pending"
    STARTING = "Starting"
    SERVING = "Serving"
    DEGRADED = "Degraded"
    STOPPING = "Stopping"
    RETIRED = "Retired"


class HubObservation(Document):
    """Key `observed/<uid>`: what the owner last reported, written on change only."""

    hub: str
    site: str
    phase: HubPhase = HubPhase.PENDING
    generation: int = 0
    url: str = ""
    conditions: tuple[Condition, ...] = ()
    servers: int = 0
    outdated_servers: int = 0
    homes: str = ""


class RosterEntry(Model):
    name: str
    admin: bool = False


class Roster(Document):
    """Key `roster/<uid>`: the users that the running hub knows, also those added on its admin page."""

    hub: str
    users: tuple[RosterEntry, ...] = ()


class Cordon(Model):
    """Nothing new is placed at a site; with `drain` what is there is moved away, by planned moves."""

    reason: str
    actor: str
    since: AwareDatetime
    drain: bool = False

    def __str__(self) -> str:
        return f"{self.reason} ({self.actor}{', what is there is moved away' if self.drain else ''})"


class SiteRecord(Document):
    """Key `site/<name>`: what a site is and can hold, as it reported on change."""

    name: str
    uid: str
    kind: str
    cpu_millis: int = Field(default=0, ge=0)
    memory_bytes: int = Field(default=0, ge=0)
    edge_address: str = ""
    conditions: tuple[Condition, ...] = ()
    version: str = ""
    cordon: Cordon | None = None
    hub_version: str = ""  # of the JupyterHub that runs classes there


def changed_conditions(
    before: tuple[Condition, ...], after: tuple[Condition, ...], now: AwareDatetime
) -> tuple[Condition, ...]:
    """`after` with `since` kept where type and status did not change, else set to `now`."""
    known = {c.type: c for c in before}

    def dated(condition: Condition) -> Condition:
        old = known.get(condition.type)
        same = old is not None and old.status is condition.status
        return condition.revise(since=old.since if old is not None and same else now)

    return tuple(dated(c) for c in after)
