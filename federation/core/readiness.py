"""Whether another site could take a class over now, item by item: what is well, what is not, and what to do about it.

Pure: facts in, items out. The same facts arm a hub and let a takeover go; here they are all said, also those that are
well, and what only shows in an emergency: room for all, software that differs, a copy that does not open, no rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from federation.core.reachable import ENDS_SOON
from federation.core.spare import Plan
from federation.model.status import Condition, ConditionType, Truth

REHEARSED_DAYS = 90  # what was proven longer ago is complained about
DAY_S = 86400.0


class State(StrEnum):
    OK = "ok"
    NOTE = "note"  # no reason against a takeover, but an admin should know
    RED = "red"


@dataclass(frozen=True, slots=True)
class Item:
    """One line. `todo`: empty if nothing is to be done."""

    state: State
    what: str
    why: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class SiteSide:
    """One of the two sites. `fenced` None: it has not reported."""

    name: str
    hub_version: str
    fenced: Condition | None


@dataclass(frozen=True, slots=True)
class Standby:
    """The site that would take over. Empty texts mean that nothing speaks against it. `copies`: why the recorded copy
    does not open there, None if there is nothing to restore; `room`: what is needed and free."""

    side: SiteSide
    silent: str
    unknown: str
    room: str
    no_room: str
    unsealed: tuple[str, ...]
    copies: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known of one class. `conditions`: of the hub; `refused`: what speaks against each site that
    the file allows, in order; `paused`, `no_failsafe`: why, if so; `copy_age_s`: of the recorded copy, if there is one;
    `unwritable`: why its name could not be changed; `rehearsed`: what the last drill that passed says, and
    `rehearsed_age_s` how long ago that was; `not_passed`: what a later one that failed says."""

    name: str
    owner: SiteSide | None
    conditions: tuple[Condition, ...]
    standby: Standby | None
    refused: str
    plan: Plan
    witness: bool
    paused: str
    no_failsafe: str
    copy_age_s: float | None
    unwritable: str = ""
    rehearsed: str = ""
    rehearsed_age_s: float | None = None
    not_passed: str = ""


def judge(facts: Facts) -> tuple[Item, ...]:
    """All items in the order in which they are needed. Nothing red: the class would come back by itself."""
    return (
        _condition(
            facts, ConditionType.SERVING, "serving", "`fedctl describe` shows the operation and the site's words"
        ),
        _condition(facts, ConditionType.PROTECTED, "armed", "what is red below, or named here"),
        *_moves(facts),
        *_standby(facts),
        *_room(facts),
        *_copies(facts),
        *_software(facts),
        _condition(facts, ConditionType.NAME_CONVERGED, "name", "the name server, and `spec.names` of the federation"),
        _item(facts.unwritable, "name service", "takes changes", "the name server, and the key that coordinators hold"),
        *_outside(facts),
        *_fencers(facts),
        _rehearsed(facts),
    )


def ready(items: tuple[Item, ...]) -> bool:
    """Whether nothing is red."""
    return not any(item.state is State.RED for item in items)


def _item(problem: str, what: str, fine: str, todo: str) -> Item:
    return Item(State.RED, what, problem, todo) if problem else Item(State.OK, what, fine)


def _condition(facts: Facts, kind: ConditionType, what: str, todo: str) -> Item:
    condition = next((c for c in facts.conditions if c.type is kind), None)
    if condition is None:
        return Item(State.RED, what, "no site runs the class", "`fedctl place`, or `fedctl restore` if it is retired")
    problem = "" if condition.status is Truth.TRUE else condition.message or condition.reason
    return _item(problem, what, condition.message or condition.reason, todo)


def _moves(facts: Facts) -> Iterator[Item]:
    none = "" if facts.witness else "the federation has none: two sites cannot tell which of them is cut off"
    yield _item(none, "witness", "a third place decides", "a coordinator with `witness: true` and 3 register members")
    yield _item(facts.paused, "automatic moves", "on", "`fedctl resume`")
    if facts.no_failsafe:
        yield Item(State.NOTE, "failsafe", facts.no_failsafe, "`spec.agent.peer_address` in every site file")


def _standby(facts: Facts) -> Iterator[Item]:
    standby = facts.standby
    if standby is None:
        yield Item(
            State.RED, "standby", facts.refused, "`placement.allow` and `placement.standby` of the class, or a site"
        )
        return
    name = standby.side.name
    yield Item(State.OK, "standby", name)
    yield _item(standby.silent, f"{name} lives", "its lease is fresh", "its agent, and its way to the coordinators")
    yield _item(standby.unknown, f"{name} is known", "as a member, to all who must know", "wait for the next renewals")
    unsealed = f"cannot open {' and '.join(standby.unsealed)}" if standby.unsealed else ""
    todo = "set the secret again; copies of a class that was placed before the site joined stay closed to it"
    yield _item(unsealed, f"secrets at {name}", "sealed to it", todo)


def _room(facts: Facts) -> Iterator[Item]:
    standby = facts.standby
    if standby is None or facts.owner is None:
        return
    name = standby.side.name
    yield _item(standby.no_room, f"room at {name}", standby.room, "retire or shrink classes there, or add capacity")
    what, why = f"room without {facts.owner.name}", facts.plan.sentence
    if facts.plan.why_waits(facts.name):
        yield Item(State.RED, what, why, "more capacity elsewhere, or fewer classes here")
    else:
        yield Item(State.NOTE if facts.plan.waits else State.OK, what, why)


def _copies(facts: Facts) -> Iterator[Item]:
    fresh = _condition(facts, ConditionType.DATA_FRESH, "copies", "`spec.copies` of the site, and its agent's log")
    if fresh.state is State.OK and facts.copy_age_s is not None:
        fresh = Item(fresh.state, fresh.what, f"{_age(facts.copy_age_s)} old; {fresh.why}")
    yield fresh
    standby = facts.standby
    if standby is not None and standby.copies is not None:
        name = standby.side.name
        fine = "it has looked: the recorded snapshot is there and opens, and its disk has room"
        yield _item(standby.copies, f"copies at {name}", fine, "the store of copies, or the disk there")


def _software(facts: Facts) -> Iterator[Item]:
    if facts.owner is None or facts.standby is None:
        return
    here, there = facts.owner, facts.standby.side
    if not here.hub_version or not there.hub_version:
        mute = " and ".join(side.name for side in (here, there) if not side.hub_version)
        yield Item(State.NOTE, "software", f"{mute} has not reported which JupyterHub it runs", "upgrade its agent")
        return
    said = f"JupyterHub {here.hub_version} at {here.name}, {there.hub_version} at {there.name}"
    differ = "" if _minor(here.hub_version) == _minor(there.hub_version) else f"{said}: the hub's database goes along"
    yield _item(differ, "software", said, "the same minor version at both sites")


def _outside(facts: Facts) -> Iterator[Item]:
    seen = next((c for c in facts.conditions if c.type is ConditionType.REACHABLE), None)
    if seen is not None:
        well = seen.status is Truth.TRUE and seen.reason != ENDS_SOON
        todo = "" if well else "the line between those places and the site, the name server there, or the certificate"
        yield Item(State.OK if well else State.NOTE, "seen from outside", seen.message, todo)
    started = next((c for c in facts.conditions if c.type is ConditionType.SERVERS_START), None)
    if started is not None:
        well = started.status is Truth.TRUE
        todo = "" if well else "`fedctl logs NAME`, and the same with `--user hubfed-tester`, say why"
        yield Item(State.OK if well else State.NOTE, "servers start", started.message, todo)


def _fencers(facts: Facts) -> Iterator[Item]:
    """The owner's is needed to arm it here, the standby's to arm it there afterwards."""
    standby = facts.standby.side if facts.standby is not None else None
    for side, bad in ((facts.owner, State.RED), (standby, State.NOTE)):
        if side is None:
            continue
        proven = side.fenced is not None and side.fenced.status is Truth.TRUE
        why = "no report yet" if side.fenced is None else side.fenced.message or side.fenced.reason
        todo = "" if proven else "fed-fencer at that site, and its agent's log"
        yield Item(State.OK if proven else bad, f"fencer of {side.name}", why, todo)


def _rehearsed(facts: Facts) -> Item:
    again = f"`fedctl drill {facts.name}`"
    if facts.not_passed:
        return Item(State.NOTE, "rehearsed", facts.not_passed, f"what it says, then {again}")
    if facts.rehearsed_age_s is None:
        return Item(State.NOTE, "rehearsed", "never rehearsed", again)
    days = facts.rehearsed_age_s / DAY_S
    if days > REHEARSED_DAYS:
        said = f"{days:.0f} days ago, more than {REHEARSED_DAYS}: {facts.rehearsed}"
        return Item(State.NOTE, "rehearsed", said, again)
    return Item(State.OK, "rehearsed", f"{days:.0f} days ago: {facts.rehearsed}")


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _age(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"  # noqa: PLR2004 - two minutes
