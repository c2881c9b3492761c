"""What a site may run, judged from the answers to its renewals (DESIGN.md 4.2, PROTOCOL.md H1, H6, section 4).

Nothing but a grant permits opening. Only positive evidence ends a permission: a higher epoch with another owner, or a
tombstone. A hub that an answer does not mention is kept: a standing hub has no deadline within this boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.model.identity import Epoch, RegisterId
from federation.model.ownership import Mode


@dataclass(frozen=True, slots=True)
class Held:
    """A hub that this site may run and open, at this epoch."""

    epoch: Epoch
    mode: Mode = Mode.STANDING


@dataclass(frozen=True, slots=True)
class Answer:
    """A renewal's answer in the model's words."""

    register: RegisterId
    revision: int
    seq: int
    granted: bool
    grants: Mapping[str, Held]
    revoked: Mapping[str, Epoch]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal holds: the register, and per hub the epoch that was opened, released, or ended."""

    register: RegisterId | None = None
    revision: int = 0
    floor: Mapping[str, Epoch] = field(default_factory=dict)
    released: Mapping[str, Epoch] = field(default_factory=dict)
    ended: Mapping[str, Epoch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """The new whole: what is held, what has ended by evidence, and what was refused and why."""

    held: Mapping[str, Held]
    ended: Mapping[str, Epoch]
    problems: tuple[str, ...] = ()
    heard: bool = True  # False: the answer counts for nothing, not even as heard


def fault_of(answer: Answer, known: Known) -> str:
    """Why this answer comes from a register that must not be believed; empty if it may be."""
    if known.register is None:
        return ""
    if answer.register != known.register:
        return (
            f"the answer is of register {answer.register.uuid} era {answer.register.era}, "
            f"known is {known.register.uuid} era {known.register.era}"
        )
    if answer.revision < known.revision:
        return f"the register went back from revision {known.revision} to {answer.revision}"
    return ""


def refusal(hub: str, held: Held, known: Known) -> str:
    """Why a granted epoch may not be opened; empty if it may."""
    floor, released, ended = known.floor.get(hub), known.released.get(hub), known.ended.get(hub)
    if floor is not None and held.epoch < floor:
        return f"{hub}: granted at {held.epoch}, below {floor} that was open here"
    if released is not None and held.epoch <= released:
        return f"{hub}: granted at {held.epoch}, which this site has released for ever"
    if ended is not None and held.epoch <= ended:
        return f"{hub}: granted at {held.epoch}, ended by {ended}"
    return ""


def judge(answer: Answer, newest_seq: int, held: Mapping[str, Held], known: Known) -> Holding:
    """Answers are processed in rising seq only; a register fault stops nothing and permits nothing."""
    if answer.seq <= newest_seq:
        return Holding(held, known.ended, (f"answer {answer.seq} came after {newest_seq}",), heard=False)
    fault = fault_of(answer, known)
    if fault:
        return Holding(held, known.ended, (fault,), heard=False)
    if not answer.granted:
        return Holding(held, known.ended, ("not granted: the coordinators think that this site is deaf",))
    kept = dict(held)
    ended = dict(known.ended)
    problems = [f"{hub}: claimed, but the register knows nothing of it" for hub in answer.unknown]
    for hub, epoch in answer.revoked.items():
        mine = kept.get(hub)
        if mine is None or epoch > mine.epoch:
            kept.pop(hub, None)
            ended[hub] = max(epoch, ended.get(hub, epoch))
    for hub, grant in answer.grants.items():
        objection = refusal(hub, grant, known)
        if objection:
            problems.append(objection)
        else:
            kept[hub] = grant
            ended.pop(hub, None)  # a new epoch above the end: restored, or back after a move
    return Holding(kept, ended, tuple(problems))
