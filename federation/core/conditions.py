"""What may be said about a hub now: phase and conditions from what is owned, reported and seen from outside (I9).

Every status shown is true now: a site that is silent makes Serving Unknown, not True.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.core.operation_facts import Seen
from federation.model.homes import HomeIndex
from federation.model.ownership import Mode, Owned, Ownership, WantedMode
from federation.model.status import Condition, ConditionType, HubPhase, Truth

SILENT_S = 15.0
UNWRITABLE = "CannotBeChanged"
"""Reason of a name that leads to its class, in a service that takes no change: the next failover would wait for it."""

_PHASES = {
    "serving": HubPhase.SERVING,
    "stopping": HubPhase.STOPPING,
    "failed": HubPhase.DEGRADED,
}


@dataclass(frozen=True, slots=True)
class HubFacts:
    """`silent_s`: since the owner's last renewal was seen, None if never. `name_leads_here` None: nobody could tell yet,
    `name_problem` says why; `name_sight`: what was seen from outside; `name_unwritable`: why it cannot be changed now.
    `generation`: the newest that was accepted, 0 if not known.
    `unfenced`: why the owner's fencer is not to be relied on; empty: it is, or the site has not reported.
    `no_failsafe`: what an outage of all coordinators does to an armed hub; empty: nothing."""

    ownership: Ownership
    owned: Owned | None
    wanted: WantedMode | None
    seen: Seen | None
    silent_s: float | None
    name_leads_here: bool | None = None
    name_problem: str = ""
    name_sight: str = ""
    name_unwritable: str = ""
    outdated_servers: int = 0
    generation: int = 0
    unfenced: str = ""
    copy_: HomeIndex | None = None
    copy_problem: str = ""  # why the students' files would not be there after a move; empty: they would
    has_homes: bool = True
    no_failsafe: str = ""
    reported: tuple[Condition, ...] = ()
    reachable: Condition | None = None  # how it is seen from other places; None: there are none
    servers_start: Condition | None = None  # whether test servers start; None: none was tried


def phase_of(facts: HubFacts) -> HubPhase:
    """One word for the whole."""
    if facts.ownership.owner is None:
        if not facts.ownership.tombstone:
            return HubPhase.STARTING  # released for a planned move: the next owner is about to take it
        return HubPhase.STOPPING if facts.ownership.earlier else HubPhase.RETIRED
    if _silent(facts):
        return HubPhase.DEGRADED
    if facts.seen is None:
        return HubPhase.STARTING
    if facts.seen.phase == "serving" and not facts.seen.gate_open:
        return HubPhase.STARTING
    return _PHASES.get(facts.seen.phase, HubPhase.STARTING)


def conditions_of(facts: HubFacts) -> tuple[Condition, ...]:
    """All conditions, in a fixed order; what the site reports itself (Isolated, ...) comes last. What nobody owns has no
    name, protection or content that could be right or wrong."""
    if facts.ownership.owner is None:
        return (_serving(facts), _owned(facts), _clean(facts))
    return (
        _serving(facts),
        _owned(facts),
        _named(facts),
        *(seen for seen in (facts.reachable, facts.servers_start) if seen is not None),
        _data_fresh(facts),
        _protected(facts),
        _clean(facts),
        _up_to_date(facts),
        *facts.reported,
    )


def _silent(facts: HubFacts) -> bool:
    return facts.silent_s is None or facts.silent_s > SILENT_S


def _serving(facts: HubFacts) -> Condition:
    kind, owner, seen = ConditionType.SERVING, facts.ownership.owner, facts.seen
    if owner is None:
        return Condition(type=kind, status=Truth.FALSE, reason="NotOwned", message="no site may run the hub")
    if _silent(facts):
        age = "never heard" if facts.silent_s is None else "silent"
        armed = facts.owned is not None and facts.owned.may_be_taken_over
        then = "it closes the hub by itself, and another site takes over" if armed else "its hubs may well run on"
        return Condition(type=kind, status=Truth.UNKNOWN, reason="SiteSilent", message=f"{owner} is {age}; {then}")
    if seen is None:
        return Condition(type=kind, status=Truth.UNKNOWN, reason="NotReported", message=f"no report from {owner} yet")
    if seen.phase != "serving":
        return Condition(type=kind, status=Truth.FALSE, reason=seen.phase.capitalize(), message=seen.message)
    if not seen.gate_open:
        return Condition(type=kind, status=Truth.FALSE, reason="GateClosed", message="the edge does not let users in")
    return Condition(type=kind, status=Truth.TRUE, reason="Serving", message=f"at {owner}")


def _owned(facts: HubFacts) -> Condition:
    ownership = facts.ownership
    if ownership.owner is None:
        reason = "Ended" if ownership.tombstone else "Released"
        return Condition(type=ConditionType.OWNED, status=Truth.FALSE, reason=reason, message=f"at {ownership.epoch}")
    message = f"{ownership.owner} at epoch {ownership.epoch}"
    return Condition(type=ConditionType.OWNED, status=Truth.TRUE, reason="Owned", message=message)


def _named(facts: HubFacts) -> Condition:
    kind = ConditionType.NAME_CONVERGED
    if facts.name_leads_here is None and facts.name_problem:
        return Condition(type=kind, status=Truth.UNKNOWN, reason="CannotLook", message=facts.name_problem)
    if facts.name_leads_here is None:
        return Condition(type=kind, status=Truth.UNKNOWN, reason="NotLooked", message="not looked at from outside yet")
    if facts.name_leads_here and facts.name_unwritable:
        message = f"{facts.name_sight}; it cannot be changed now: {facts.name_unwritable}"
        return Condition(type=kind, status=Truth.TRUE, reason=UNWRITABLE, message=message)
    if facts.name_leads_here:
        return Condition(type=kind, status=Truth.TRUE, reason="SeenFromOutside", message=facts.name_sight)
    return Condition(type=kind, status=Truth.FALSE, reason="LeadsElsewhere", message=facts.name_problem)


def _data_fresh(facts: HubFacts) -> Condition:
    kind, copy = ConditionType.DATA_FRESH, facts.copy_
    if not facts.has_homes:
        return Condition(type=kind, status=Truth.TRUE, reason="NoHomes", message="storage.type is none")
    if facts.copy_problem or copy is None:
        return Condition(
            type=kind, status=Truth.FALSE, reason="NotCopied" if copy is None else "Old", message=facts.copy_problem
        )
    size = f"{copy.homes} homes, {copy.bytes / 2**20:.1f} MiB"
    message = f"copied by {copy.copy_.site} as of {copy.taken:%Y-%m-%d %H:%M:%S} UTC: {size}"
    if copy.unread:
        message += f"; {len(copy.unread)} files could not be read, such as {copy.unread[0]}"
    return Condition(type=kind, status=Truth.TRUE, reason="Copied", message=message)


def _protected(facts: HubFacts) -> Condition:
    """Armed and heard: an outage of the site ends in a takeover. Else standing, with every reason."""
    kind, owned, wanted = ConditionType.PROTECTED, facts.owned, facts.wanted
    if facts.ownership.owner is None or owned is None:
        return Condition(type=kind, status=Truth.FALSE, reason="NotOwned", message="no site may run the hub")
    if owned.may_be_taken_over:
        message = "; ".join(filter(None, ("another site takes over in an outage", facts.no_failsafe)))
        return Condition(type=kind, status=Truth.TRUE, reason="Armed", message=message)
    if owned.armed is not None:
        message = f"{facts.ownership.owner} has not said yet that it heard of a deadline"
        return Condition(type=kind, status=Truth.FALSE, reason="Arming", message=message)
    if wanted is None or wanted.epoch != facts.ownership.epoch:
        return Condition(type=kind, status=Truth.FALSE, reason="NotDecided", message="standing; not looked at yet")
    reasons = "; ".join(wanted.reasons)
    if wanted.mode is Mode.ARMED:
        reasons = facts.unfenced or f"{facts.ownership.owner} has not renewed since it was decided"
    return Condition(type=kind, status=Truth.FALSE, reason="Standing", message=f"not armed, because {reasons}")


def _clean(facts: HubFacts) -> Condition:
    kind, left = ConditionType.PEER_CLEAN, facts.ownership.earlier
    if not left:
        return Condition(type=kind, status=Truth.TRUE, reason="Closed", message="no earlier owner is left")
    sites = ", ".join(earlier.site for earlier in left)
    message = f"{sites} has not confirmed that nothing of it runs there"
    return Condition(type=kind, status=Truth.FALSE, reason="NotConfirmed", message=message)


def _up_to_date(facts: HubFacts) -> Condition:
    if facts.seen is not None and facts.seen.generation < facts.generation:
        message = f"generation {facts.generation} was accepted, {facts.seen.generation} is served"
        return Condition(type=ConditionType.UP_TO_DATE, status=Truth.FALSE, reason="OlderGeneration", message=message)
    if facts.outdated_servers:
        count = facts.outdated_servers
        message = f"{count} running student servers are older than the spec; they change when they are next started"
        return Condition(type=ConditionType.UP_TO_DATE, status=Truth.FALSE, reason="OlderServers", message=message)
    return Condition(type=ConditionType.UP_TO_DATE, status=Truth.TRUE, reason="Current")
