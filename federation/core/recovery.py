"""Whose a hub is after the register was lost: decided from what the sites hold and what is left of the register
(DESIGN.md 4.7, PROTOCOL.md H6.3). Every report was made after the new era was written.

The table, top row first:

| what is known                                             | then                                            |
| a tombstone above everything that sites hold              | it stays retired                                |
| one site serves it, at an epoch that nobody has passed    | it is that site's, whatever a person says       |
| a person has said whose it is                             | it is theirs                                    |
| two sites serve it, or one at an epoch that was passed    | a person decides                                |
| nobody serves it, and somebody heard of a higher epoch than anybody holds | a person decides                |
| nobody serves it                                          | the highest epoch: who holds it, or is said to  |
| nobody holds it                                           | who gave it up last, else where its homes are   |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from federation.model.identity import Epoch
from federation.model.ownership import Ownership
from federation.model.recovery import HubHolding

NOBODY = "none"
"""What a person types if a hub is to be nobody's: it is retired."""
ZERO = Epoch(era=0, n=0)


class Fate(StrEnum):
    OWNED = "owned"
    CLOSED = "closed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class HubFacts:
    """`record`: what the register says; `claims`: what each site that reported knows; `silent`: sites that a person has
    left out; `word`: what a person has decided, a site or `NOBODY`; empty: nothing."""

    hub: str
    record: Ownership | None
    claims: Mapping[str, HubHolding]
    silent: Collection[str] = ()
    word: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`owner`: of an owned hub. `closing`: sites that must confirm that they stopped it."""

    hub: str
    fate: Fate
    owner: str | None
    reason: str
    closing: tuple[str, ...] = ()


def decide(facts: HubFacts) -> Verdict | None:
    """None: neither the register nor any site has anything that could be lost."""
    serving = sorted(site for site, claim in facts.claims.items() if claim.serving)
    live = {site: claim.live for site, claim in facts.claims.items() if claim.live is not None}
    record = facts.record
    if record is None and not live and not any(claim.runs for claim in facts.claims.values()):
        return None
    if record is not None and record.tombstone and record.epoch > max(live.values(), default=ZERO):
        return _closed(facts, f"retired at {record.epoch}, above everything that is held")
    alone = _served(facts, serving[0]) if len(serving) == 1 else None
    if alone is not None and alone.fate is Fate.OWNED:  # no word moves it: it would be open twice (I1)
        return alone
    if facts.word == NOBODY:
        return _closed(facts, "a person has said that it is retired")
    if facts.word:
        return _owned(facts, facts.word, "a person has said so")
    if alone is not None:
        return alone
    if serving:
        return _undecided(facts, f"{' and '.join(serving)} both serve it")
    return _unserved(facts, live)


def refusal(facts: HubFacts, word: str) -> str:
    """Why a person's word about the hub cannot count; empty: it can. What one site serves is decided by that."""
    verdict = decide(facts)
    serves = any(claim.serving for claim in facts.claims.values())
    if not serves or verdict is None or verdict.fate is not Fate.OWNED or verdict.owner == word:
        return ""
    return f"{verdict.owner} {verdict.reason}"


def _served(facts: HubFacts, site: str) -> Verdict:
    at = facts.claims[site].live or facts.claims[site].floor or ZERO
    opened = {other: claim.floor for other, claim in facts.claims.items() if other != site and claim.floor is not None}
    for other, epoch in sorted(opened.items()):
        if epoch > at:
            return _undecided(facts, f"{site} serves it at {at}, and {other} has had it open at {epoch}")
    unheard = f", whatever a person has said of {facts.word}" if facts.word not in ("", site) else ""
    return _owned(facts, site, f"serves it, at {at}{unheard}")


def _unserved(facts: HubFacts, live: Mapping[str, Epoch]) -> Verdict:
    record, held = facts.record, dict(live)
    if record is not None and record.owner is not None and _may_hold(facts, record.owner, record.epoch):
        held[record.owner] = max(record.epoch, held.get(record.owner, ZERO))
    heard = max((claim.highest or ZERO for claim in facts.claims.values()), default=ZERO)
    best = max(held.values(), default=ZERO)
    if held and heard > best:
        return _undecided(facts, f"somebody has heard of {heard}, and nobody who reported holds it above {best}")
    owners = sorted(site for site, epoch in held.items() if epoch == best)
    if len(owners) > 1:
        return _undecided(facts, f"{' and '.join(owners)} hold it at {best}")
    if owners:
        silent = " (it does not report)" if owners[0] in facts.silent else ""
        return _owned(facts, owners[0], f"nobody serves it; the highest epoch, {best}, is there{silent}")
    return _orphan(facts)


def _orphan(facts: HubFacts) -> Verdict:
    """Between two owners, or ended by something that was lost."""
    record = facts.record
    given_up = {site: claim.released for site, claim in facts.claims.items() if claim.released is not None}
    last = max(given_up, key=lambda site: given_up[site], default="")
    ended = max((claim.ended or ZERO for claim in facts.claims.values()), default=ZERO)
    if last and given_up[last] >= ended:
        return _owned(facts, last, f"nobody holds it; given up there last, at {given_up[last]}")
    if record is not None and record.homes_at and record.owner is None and record.epoch >= ended:
        return _owned(facts, record.homes_at, "nobody holds it; its homes are there")
    if ended == ZERO:
        runs = sorted(site for site, claim in facts.claims.items() if claim.runs)
        return _undecided(facts, f"nobody holds it{', and it runs at ' + ' and '.join(runs) if runs else ''}")
    return _undecided(facts, f"it was ended by {ended}, and nobody who reported holds it: retired, or elsewhere")


def _may_hold(facts: HubFacts, site: str, epoch: Epoch) -> bool:
    """Whether the register's word about an owner still stands: its own journal knows better."""
    claim = facts.claims.get(site)
    if claim is None:
        return True
    return not any(over is not None and over >= epoch for over in (claim.released, claim.ended))


def _owned(facts: HubFacts, owner: str, reason: str) -> Verdict:
    return Verdict(facts.hub, Fate.OWNED, owner, reason, _closing(facts, owner))


def _closed(facts: HubFacts, reason: str) -> Verdict:
    return Verdict(facts.hub, Fate.CLOSED, None, reason, _closing(facts, None))


def _undecided(facts: HubFacts, reason: str) -> Verdict:
    return Verdict(facts.hub, Fate.UNDECIDED, None, reason)


def _closing(facts: HubFacts, owner: str | None) -> tuple[str, ...]:
    """Whoever else could have something of it: in the new era all of them hear that it has ended there."""
    others = {site for site, claim in facts.claims.items() if claim.live is not None or claim.runs}
    record = facts.record
    if record is not None:
        others |= {earlier.site for earlier in record.earlier} | ({record.owner} if record.owner else set())
    return tuple(sorted(others - {owner}))
