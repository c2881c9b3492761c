"""What a site may run, judged from the answers to its renewals (DESIGN.md 4.2, PROTOCOL.md H1, H6, section 4).

Nothing but a grant permits opening. Only positive evidence ends a permission at once: a higher epoch with another owner,
or a tombstone. Silence ends an armed one, at *send time* + D: the coordinators count from when they saw the renewal,
which was later. A hub that an answer does not mention is kept: a standing one has no deadline within this boot, an
armed one keeps the deadline that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from federation.model.identity import Epoch, RegisterId
from federation.model.ownership import Mode


@dataclass(frozen=True, slots=True)
class Granted:
    """What an answer says of one hub."""

    epoch: Epoch
    mode: Mode = Mode.STANDING


@dataclass(frozen=True, slots=True)
class Held:
    """A hub that this site may run and open at this epoch. Times are CLOCK_BOOTTIME ns: users are let in before
    `close_at_ns`, and by `stop_by_ns` the agent has stopped everything of it; None: no deadline within this boot."""

    epoch: Epoch
    close_at_ns: int | None = None
    stop_by_ns: int | None = None

    @property
    def mode(self) -> Mode:
        """Armed hubs have deadlines."""
        return Mode.STANDING if self.close_at_ns is None else Mode.ARMED

    @property
    def granted(self) -> Granted:
        """Without the times, which change with each renewal."""
        return Granted(self.epoch, self.mode)

    def lapsed(self, now_ns: int) -> bool:
        """Whether the time to serve is over."""
        return self.close_at_ns is not None and now_ns >= self.close_at_ns


@dataclass(frozen=True, slots=True)
class Terms:
    """How long an armed grant lasts (D, F of the profile), and whether it may be taken up. `extend` is False while the
    site's fencer does not answer; `open_new` while what this agent forgot may still be running elsewhere; `promised` has
    the hubs that must not be opened yet, with the reason: a peer may still serve them."""

    contact_ns: int
    fence_ns: int
    extend: bool = True
    open_new: bool = True
    promised: Mapping[str, str] = field(default_factory=dict)

    def held(self, granted: Granted, sent_ns: int) -> Held:
        """A permission that counts from the send of the renewal."""
        if granted.mode is Mode.STANDING:
            return Held(granted.epoch)
        close_at_ns = sent_ns + self.contact_ns
        return Held(granted.epoch, close_at_ns, close_at_ns + self.fence_ns)


@dataclass(frozen=True, slots=True)
class Answer:
    """A renewal's answer in the model's words; `sent_ns`: when the renewal was sent, CLOCK_BOOTTIME."""

    register: RegisterId
    revision: int
    seq: int
    granted: bool
    grants: Mapping[str, Granted]
    revoked: Mapping[str, Epoch]
    unknown: tuple[str, ...] = ()
    sent_ns: int = 0
    recovering: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal holds: the register, and per hub the epoch that was granted, opened, released, or ended."""

    register: RegisterId | None = None
    revision: int = 0
    accepted: Mapping[str, Epoch] = field(default_factory=dict)
    floor: Mapping[str, Epoch] = field(default_factory=dict)
    released: Mapping[str, Epoch] = field(default_factory=dict)
    ended: Mapping[str, Epoch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """The new whole: what is held, what has ended by evidence, and what was refused and why. `accepted`: what the register
    has said to be this site's, also where it could not be taken up yet."""

    held: Mapping[str, Held]
    ended: Mapping[str, Epoch]
    accepted: Mapping[str, Epoch]
    problems: tuple[str, ...] = ()
    heard: bool = True  # False: the answer counts for nothing, not even as heard


def fault_of(answer: Answer, known: Known) -> str:
    """Why this answer comes from a register that must not be believed; empty if it may be. A higher era of the same
    register is a recovery: it begins with new revisions, and all its epochs are above the known ones (H6)."""
    if known.register is None:
        return ""
    if answer.register.uuid != known.register.uuid or answer.register.era < known.register.era:
        return (
            f"the answer is of register {answer.register.uuid} era {answer.register.era}, "
            f"known is {known.register.uuid} era {known.register.era}"
        )
    if answer.register == known.register and answer.revision < known.revision:
        return f"the register went back from revision {known.revision} to {answer.revision}"
    return ""


def refusal(hub: str, epoch: Epoch, known: Known) -> str:
    """Why a granted epoch may not be opened; empty if it may."""
    floor, released, ended = known.floor.get(hub), known.released.get(hub), known.ended.get(hub)
    if floor is not None and epoch < floor:
        return f"{hub}: granted at {epoch}, below {floor} that was open here"
    if released is not None and epoch <= released:
        return f"{hub}: granted at {epoch}, which this site has released for ever"
    if ended is not None and epoch <= ended:
        return f"{hub}: granted at {epoch}, ended by {ended}"
    return ""


def believed(
    hub: str, found: Held, known: Known, armed: Mapping[str, Epoch], *, older: bool, now_ns: int
) -> Held | None:
    """What an agent that starts holds of an entry that it finds in the lease file; None: nothing. `older`: the fencer has
    taken a newer file, and goes by its deadlines. The journal knows which hubs had deadlines last: one that this file
    calls standing was armed since, may have been taken over meanwhile, and is closed and ended at once."""
    if known.floor.get(hub) != found.epoch or refusal(hub, found.epoch, known):
        return None
    if found.mode is Mode.ARMED:
        return None if older else found
    if armed.get(hub) != found.epoch:
        return found
    return None if older else Held(found.epoch, now_ns, now_ns)


def armed_since(armed: Mapping[str, Epoch], held: Mapping[str, Held]) -> dict[str, Epoch]:
    """The journal's word on which hubs have deadlines, with what is held now; only a standing grant takes it back."""
    kept = {hub: epoch for hub, epoch in armed.items() if hub not in held or held[hub].mode is Mode.ARMED}
    return {**kept, **{hub: one.epoch for hub, one in held.items() if one.mode is Mode.ARMED}}


def judge(answer: Answer, newest_seq: int, held: Mapping[str, Held], known: Known, terms: Terms) -> Holding:
    """Answers are processed in rising seq only; a register fault stops nothing and permits nothing."""
    if answer.seq <= newest_seq:
        late = f"answer {answer.seq} came after {newest_seq}"
        return Holding(held, known.ended, known.accepted, (late,), heard=False)
    fault = fault_of(answer, known)
    if fault:
        return Holding(held, known.ended, known.accepted, (fault,), heard=False)
    if answer.recovering:
        return Holding(held, known.ended, known.accepted, ("the register is being recovered",))
    if not answer.granted:
        deaf = "not granted: the coordinators think that this site is deaf"
        return Holding(held, known.ended, known.accepted, (deaf,))
    kept, ended, accepted = dict(held), dict(known.ended), dict(known.accepted)
    problems = [f"{hub}: claimed, but the register knows nothing of it" for hub in answer.unknown]
    for hub, epoch in answer.revoked.items():
        mine = kept[hub].epoch if hub in kept else accepted.get(hub)
        if mine is None or epoch > mine:
            kept.pop(hub, None)
            accepted.pop(hub, None)
            ended[hub] = max(epoch, ended.get(hub, epoch))
    for hub, grant in answer.grants.items():
        before = kept.get(hub)
        objection = refusal(hub, grant.epoch, known)
        if not objection:
            accepted[hub] = grant.epoch  # from now on no peer is promised this hub
            objection = _not_taken_up(hub, before, grant, terms)
        if objection:
            problems.append(objection)
        else:
            kept[hub] = _later(before, terms.held(grant, answer.sent_ns))
            ended.pop(hub, None)  # a new epoch above the end: restored, or back after a move
    return Holding(kept, ended, accepted, tuple(problems))


def _later(before: Held | None, now: Held) -> Held:
    """An answer that comes late must not take back what peers have promised since it was asked for."""
    if before is None or before.granted != now.granted or before.close_at_ns is None or now.close_at_ns is None:
        return now
    return max(before, now, key=lambda held: held.close_at_ns or 0)


def _not_taken_up(hub: str, before: Held | None, grant: Granted, terms: Terms) -> str:
    """Why a grant that is good is not used. One that ends a permission sooner than before is always taken."""
    same = before is not None and before.epoch == grant.epoch
    if not same and hub in terms.promised:
        return terms.promised[hub]
    if not same and not terms.open_new:
        return f"{hub}: not opened yet: the journal was lost, and what it said may still be in force elsewhere"
    if grant.mode is Mode.STANDING or (same and before is not None and before.mode is Mode.STANDING):
        return ""
    return "" if terms.extend else f"{hub}: armed, and the fencer of this site does not answer: not extended"
