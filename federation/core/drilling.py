"""A drill is two planned moves, to the standby and back: what comes next, and what a real outage would have cost.

Nothing here moves a hub: the moves are operations like any other, with all that protects the students' work (ADR 0015),
and they carry the drill's id. So what is left to decide is when to begin, when to turn back, and what to record. It is
decided from what *is*: a new leader goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.core.calendar import windows
from federation.core.relocation import AHEAD_S
from federation.core.taking_back import LIMITS_S
from federation.model.classroom import ClassroomSpec
from federation.model.drill import Costs, Drill, Outcome
from federation.model.operation import Operation, OperationKind, Step, StepRecord

LATE_S = 3600.0  # so long after its time it may begin, and so long the way back may wait to begin
START_S = 600.0  # a step from started to named that takes longer has failed the rehearsal
OWNED_S = max(LIMITS_S.values()) + START_S  # so long a move has its own patience with a hub that does not start
SERVING = (Step.OWNED, Step.STARTED, Step.VERIFIED)
LOOK_S, SOON_S = 10.0, 1.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known now. `owner`: of the hub. `retired`: the class has ended. `not_now`: why it may not begin, in words;
    `unarmed`: why a takeover would not come by itself; `target`: the standby, empty with `refused` if none can take it.
    `in_meeting`: the class meets; `met`: when its last class time since the drill's time was over."""

    drill: Drill
    operation: Operation
    owner: str | None
    now: datetime
    retired: bool = False
    not_now: str = ""
    unarmed: tuple[str, ...] = ()
    target: str = ""
    refused: str = ""
    in_meeting: bool = False
    met: datetime | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Order the move to the standby."""

    source: str
    target: str
    unarmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Return:
    """Order the move back. `failed`: what the standby could not do; empty: it serves there under its name."""

    failed: str = ""


@dataclass(frozen=True, slots=True)
class Abandon:
    """The move that is under way has not begun and is given up; the class stays where it serves."""

    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """The drill is over."""

    outcome: Outcome
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing can be done now; `reason` is shown; look again after `look_s`."""

    reason: str
    look_s: float = LOOK_S


Next = Begin | Return | Abandon | Record | Rest


def decide(facts: Facts) -> Next:
    """The one next thing to do about a drill that is not over."""
    if facts.drill.began is None:
        return _begin(facts)
    operation = facts.operation
    if operation.kind is OperationKind.FAILOVER and not operation.done:
        return Rest(f"{operation.source} fell silent on the way", SOON_S)
    if operation.drill != facts.drill.id:
        return Record(Outcome.FAILED, _overtaken(facts))
    return _after(facts) if operation.done else _under_way(facts)


def _begin(facts: Facts) -> Next:
    drill = facts.drill
    if facts.retired:
        return Record(Outcome.GIVEN_UP, "the class was retired")
    if facts.now < drill.at:
        return Rest("waits for its time", min(LOOK_S, (drill.at - facts.now).total_seconds()))
    objection = _objection(facts)
    if not objection:
        return Begin(facts.owner or "", facts.target, facts.unarmed)
    if facts.now - drill.at > timedelta(seconds=LATE_S):
        return Record(Outcome.GIVEN_UP, f"it could not begin within an hour of its time: {objection}")
    return Rest(objection)


def _objection(facts: Facts) -> str:
    if not facts.operation.done:
        return f"{facts.operation.kind.value} is under way"
    if facts.owner is None:
        return "the class runs nowhere"
    if facts.not_now and not facts.drill.now:
        return facts.not_now
    if facts.unarmed and not facts.drill.anyway:
        return f"not armed: {'; '.join(facts.unarmed)}"
    return "" if facts.target else facts.refused


def _under_way(facts: Facts) -> Next:
    """One of the two moves. Before its first step nothing has happened to the class, so it can still be given up."""
    operation, drill, back = facts.operation, facts.drill, _is_back(facts)
    why = operation.waiting_for or "nobody says why"
    since = operation.created if back else drill.at
    waits = facts.now - max(since, facts.met or since)
    begins = operation.step is Step.ADMITTED and not (operation.cancelled or operation.back or facts.in_meeting)
    if begins and waits > timedelta(seconds=LATE_S):
        return Abandon(f"it could not begin within an hour: {why}")
    since = operation.history[-1].at if operation.history else operation.created
    limit_s = OWNED_S if operation.step is Step.OWNED else START_S
    if operation.step in SERVING and facts.now - since > timedelta(seconds=limit_s):
        stuck = f"{facts.owner}: not done within {limit_s / 60:.0f} min after {operation.step.value}: {why}"
        # one that does not start at all is taken back by the move itself, if that is possible
        may_go_back = not (back or operation.back) and facts.owner == drill.target and operation.step is not Step.OWNED
        return Return(stuck) if may_go_back else Record(Outcome.FAILED, stuck)
    way = "back" if back else "to the standby again" if operation.back else "there"
    return Rest(f"on the way {way}, after {operation.step.value}: {operation.waiting_for}".rstrip(": "), SOON_S)


def _after(facts: Facts) -> Next:
    """A move of the drill is over, in one way or the other."""
    drill, stayed = facts.drill, _stayed(facts.operation.history)
    if facts.operation.back:
        way = "there" if _is_back(facts) else "back"
        if _is_back(facts) and facts.owner == drill.target and not facts.operation.cancelled:
            return Return(facts.operation.back)  # it serves there after all
        where = "" if facts.owner == facts.operation.target else f"; {stayed or f'it is at {facts.owner}'}"
        return Record(Outcome.FAILED, f"on the way {way}: {facts.operation.back}{where}")
    if _is_back(facts):
        if facts.owner == drill.source:
            return Record(Outcome.FAILED if drill.reason else Outcome.PASSED, drill.reason)
        return Record(Outcome.FAILED, f"on the way back: {stayed or f'it is at {facts.owner}'}")
    if facts.owner == drill.target:
        return Return()
    if facts.operation.cancelled and not _reached(facts.operation.history, Step.CHECKED):
        return Record(Outcome.GIVEN_UP, stayed or facts.operation.cancelled)
    return Record(Outcome.FAILED, f"on the way there: {stayed or f'it is at {facts.owner}'}")


def _overtaken(facts: Facts) -> str:
    """Another operation took the place of the drill's own: an outage on the way, or a person."""
    operation = facts.operation
    where = f"it is at {facts.owner}" if facts.owner is not None else "it runs nowhere"
    if operation.kind is OperationKind.FAILOVER:
        return f"{operation.source} fell silent on the way and the class was taken over: {where}"
    return f"{operation.kind.value} by {operation.actor} took its place: {where}"


def _is_back(facts: Facts) -> bool:
    return facts.operation.target == facts.drill.source


def _stayed(history: Sequence[StepRecord]) -> str:
    """Why a move was turned round; empty: it was not."""
    turned = (
        r.message for r in history if r.step is Step.OWNED and ("it stays at" in r.message or "turned" in r.message)
    )
    return next(turned, "")


def _reached(history: Sequence[StepRecord], step: Step) -> bool:
    return any(record.step is step for record in history)


def with_steps(drill: Drill, operation: Operation) -> Drill:
    """The drill with what its newest move has done: that move's record is replaced by the next one's."""
    if drill.began is None:
        return drill
    if operation.kind is OperationKind.FAILOVER and operation.interrupted is not None:
        operation = operation.interrupted
    if operation.drill != drill.id:
        return drill
    if operation.back and operation.interrupted is not None:
        drill = with_steps(drill, operation.interrupted)
        return drill.revise(back=operation.history) if operation.target == drill.source else drill
    if operation.target == drill.source:
        return drill.revise(back=operation.history)
    return drill.revise(there=operation.history, copied=operation.copied)


def costs(drill: Drill, lease_s: float) -> Costs:
    """What the rehearsal says about an outage: what could be measured, and L, which no rehearsal waits for."""
    stopped, owned = _at(drill.there, Step.STOPPED), _at(drill.there, Step.OWNED)
    named = _at(drill.there, Step.NAMED) if not _stayed(drill.there) else None
    serve_s = _seconds(owned, named)
    return Costs(
        lease_s=lease_s,
        serve_s=serve_s,
        rto_s=lease_s + serve_s if serve_s is not None else None,
        rpo_s=_seconds(drill.copied, stopped),
        away_s=_seconds(_at(drill.there, Step.DRAINED), _at(drill.there, Step.NAMED)),
        away_back_s=_seconds(_at(drill.back, Step.DRAINED), _at(drill.back, Step.NAMED)),
    )


def _at(history: Sequence[StepRecord], step: Step) -> datetime | None:
    return next((record.at for record in history if record.step is step), None)


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    """Rounded to what the leader's clock and its looks are good for."""
    return None if since is None or until is None else round(max(0.0, (until - since).total_seconds()), 1)


def summary(drill: Drill) -> str:
    """Where it was, and what an outage would have cost, in one sentence."""
    found = drill.costs
    if found is None or found.rto_s is None or found.serve_s is None:
        return f"at {drill.target} and back"
    lost = f", at most {found.rpo_s:.0f} s of work" if found.rpo_s is not None else ""
    return (
        f"at {drill.target} and back; an outage would have cost {found.rto_s:.0f} s "
        f"(L {found.lease_s:g} s and {found.serve_s:.0f} s measured){lost}"
    )


def meets(spec: ClassroomSpec, at: datetime) -> str:
    """Why no rehearsal may begin at that time: the class meets then, or shortly after. Empty: it does not."""
    coming = windows(spec, at, at + timedelta(seconds=AHEAD_S))
    if not coming:
        return ""
    first = coming[0]
    times = f"from {first.start.strftime('%Y-%m-%d %H:%M')} to {first.end.strftime('%H:%M UTC')}"
    return f"the class meets {times}" + ("" if first.warm <= at else ", which is too soon after")
