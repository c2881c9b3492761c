"""No coordinator answers: sites keep each other's leases (DESIGN.md 4.3, PROTOCOL.md H5, H9, H10).

The asker sends a round to every other member that it has acknowledged. Only if **all** promise, in this one round, is an
armed hub extended, to the *send* of the round + D. The answerer promises not to open the hub for L, which is longer than
the asker can serve on that promise, and says no once it was told that the hub is its own, for a no is what lets a
takeover go on. Nothing here reads a clock or a disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from federation.core.holding import Held, Known, refusal
from federation.model.identity import Epoch, Member
from federation.model.ownership import Mode
from federation.model.promise import Promise

Peer = tuple[str, str]
"""(site, uid): a site that was wiped and joined again has another uid, and none of the promises (H5 b)."""


def peers_of(members: Iterable[Member], me: Peer) -> frozenset[Peer]:
    """Everybody who must answer; nobody if this site is not a member of the list, for then the list is not its own."""
    known = frozenset((member.site, member.uid) for member in members)
    return known - {me} if me in known else frozenset()


def off(members: Iterable[Member], me: Peer) -> str:
    """Why no round could be asked; empty: it could."""
    listed = tuple(members)
    return unreachable(listed) if peers_of(listed, me) else "no other site is known"


def unreachable(members: Iterable[Member]) -> str:
    """Why these sites cannot keep *each other's* leases: one without an address is enough. Empty: they can."""
    mute = sorted(member.site for member in members if not member.peer_address)
    return f"spec.agent.peer_address is missing at {', '.join(mute)}" if mute else ""


# --- the answerer ---


@dataclass(frozen=True, slots=True)
class Asked:
    """One hub of a round, as the asked site hears of it."""

    site: str
    uid: str
    hub: str
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Mine:
    """What the asked site knows. `unfit`: why it may promise nothing at all. `fencer_ns`: W; what was held is gone that
    long after its `stop_by_ns`, whatever hangs. `promises` are those that run."""

    known: Known
    held: Mapping[str, Held]
    members: Collection[Member]
    promises: Collection[Promise]
    now_ns: int
    fencer_ns: int
    unfit: str = ""


@dataclass(frozen=True, slots=True)
class No:
    """Why not. `highest`: the highest epoch of the hub that was heard of here, if it is that of the question or above."""

    reason: str
    highest: Epoch | None = None


def objection(asked: Asked, mine: Mine) -> No | None:
    """None: it may promise. A promise is journaled before it is given, and before anything else is decided (H9)."""
    if mine.unfit:
        return No(mine.unfit)
    if (asked.site, asked.uid) not in {(member.site, member.uid) for member in mine.members}:
        return No(f"{asked.site} with uid {asked.uid} is not in the member list here")
    hub, epoch = asked.hub, asked.epoch
    highest = highest_epoch(hub, mine.known, mine.promises)
    if highest is not None and highest > epoch:
        return No(f"{hub}: epoch {highest} is known here, the question is of {epoch}", highest)
    if epoch in (mine.known.accepted.get(hub), mine.known.floor.get(hub), mine.known.released.get(hub)):
        return No(f"{hub}: was granted to this site at {epoch}", epoch)
    held = mine.held.get(hub)
    if held is not None and (held.stop_by_ns is None or mine.now_ns < held.stop_by_ns + mine.fencer_ns):
        return No(f"{hub}: at {held.epoch} it may still run here")
    return None


def highest_epoch(hub: str, known: Known, promises: Iterable[Promise] = ()) -> Epoch | None:
    """The highest epoch of the hub that this site has heard of, from the register or from a peer that asked."""
    journaled = (known.accepted.get(hub), known.floor.get(hub), known.released.get(hub), known.ended.get(hub))
    found = [epoch for epoch in journaled if epoch is not None]
    found += [promise.epoch for promise in promises if promise.hub == hub]
    return max(found, default=None)


# --- the asker ---


def candidates(
    known: Known, held: Mapping[str, Held], promises: Collection[Promise], heard: Mapping[str, Epoch]
) -> dict[str, Epoch]:
    """Hubs for which this site may ask: granted, not ended or released, nothing higher heard of, and not promised to a
    peer. A standing one that is held needs nobody's promise. `heard`: higher epochs that peers have named."""
    found = {}
    for hub, epoch in known.accepted.items():
        standing = hub in held and held[hub].mode is Mode.STANDING
        promised = any(promise.hub == hub for promise in promises)
        higher = max(heard.get(hub, epoch), highest_epoch(hub, known) or epoch) > epoch
        if not (standing or promised or higher or refusal(hub, epoch, known)):
            found[hub] = epoch
    return found


def must_ask(*, contact_ns: int, silent_ns: int, granted_once: bool, soonest_ns: int | None) -> bool:
    """Whether coordinators have been silent for so long that peers are asked: D/3, which leaves time for several rounds.
    An agent that was restarted may have less left: `soonest_ns` until the first armed hub closes."""
    if silent_ns > contact_ns // 3:
        return True
    return not granted_once and soonest_ns is not None and soonest_ns < contact_ns // 3


def due(
    hubs: Mapping[str, Epoch], held: Mapping[str, Held], *, now_ns: int, closed_asked_ns: int, contact_ns: int
) -> dict[str, Epoch]:
    """Of the candidates, those for which this round asks: what is open each time, what has closed at most every D since
    `closed_asked_ns`, so that a site which nobody answers does not bind its peers for ever (H10)."""
    again = now_ns - closed_asked_ns >= contact_ns
    return {hub: epoch for hub, epoch in hubs.items() if again or (hub in held and not held[hub].lapsed(now_ns))}


@dataclass(frozen=True, slots=True)
class Round:
    """One question to all. `sent_ns`: before the first of them left."""

    nonce: int
    sent_ns: int
    hubs: Mapping[str, Epoch]
    peers: frozenset[Peer]


@dataclass(frozen=True, slots=True)
class Said:
    """What one peer answered; a peer that did not answer has said nothing."""

    peer: Peer
    nonce: int
    promised: frozenset[str] = frozenset()
    higher: Mapping[str, Epoch] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`agreed`: hubs that every peer has promised, at their epochs. `higher`: epochs above that somebody has named."""

    agreed: Mapping[str, Epoch]
    higher: Mapping[str, Epoch]
    missing: frozenset[Peer]


def outcome(asked: Round, answers: Iterable[Said]) -> Outcome:
    """Answers to this round only: a yes of an older one may have run out by the time that this one would end (H9)."""
    said = {answer.peer: answer for answer in answers if answer.nonce == asked.nonce and answer.peer in asked.peers}
    higher: dict[str, Epoch] = {}
    for answer in said.values():
        for hub, epoch in answer.higher.items():
            if hub in asked.hubs and epoch > asked.hubs[hub]:
                higher[hub] = max(epoch, higher.get(hub, epoch))
    whole = bool(asked.peers) and said.keys() == asked.peers
    agreed = {
        hub: epoch
        for hub, epoch in asked.hubs.items()
        if whole and hub not in higher and all(hub in answer.promised for answer in said.values())
    }
    return Outcome(agreed, higher, asked.peers - said.keys())
