"""A coordinator's judgement of one lease renewal (DESIGN.md 4.2; PROTOCOL.md section 3, H1, H4, H6).

A renewal succeeds only as a committed register transaction; what is decided here is which transaction to try, and what
the answer says about the agent's claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from federation.model.identity import Epoch
from federation.model.ownership import AgentRecord, Owned, Ownership, SiteLease


class Answerable(StrEnum):
    RENEW = "renew"
    DEAF = "deaf"  # answers do not reach the site: no grant, so that a deaf site cannot block a takeover
    OLD_INCARNATION = "old-incarnation"
    UNKNOWN_MEMBER = "unknown-member"
    OLD_SEQ = "old-seq"


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the agent sent."""

    site: str
    uid: str
    incarnation: int
    seq: int
    heard: int


def comes_late(after: int | None, known: AgentRecord | None) -> bool:
    """Whether a hello succeeds nobody: another one was answered since its sender was told who spoke last. It may be of a
    process that is dead by now, or the same one by another way; who lives asks again. `after` None: an agent of before,
    which does not say."""
    return after is not None and known is not None and known.incarnation != after


def deaf_after(contact_s: float, renew_s: float) -> int:
    """K: how many answers may be missing before the site counts as deaf (K = ceil(D/r), H4)."""
    return ceil(contact_s / renew_s)


def judge(renewal: Renewal, agent: AgentRecord | None, lease: SiteLease | None, deaf: int) -> Answerable:
    """Which transaction to try. A retry takes a new seq, so an equal seq is a late duplicate, not a conflict (H14)."""
    if agent is None or agent.uid != renewal.uid:
        return Answerable.UNKNOWN_MEMBER
    if agent.incarnation != renewal.incarnation:
        return Answerable.OLD_INCARNATION
    if lease is not None and (lease.incarnation, lease.seq) >= (renewal.incarnation, renewal.seq):
        return Answerable.OLD_SEQ
    if renewal.seq - renewal.heard > deaf:
        return Answerable.DEAF
    return Answerable.RENEW


@dataclass(frozen=True, slots=True)
class Ended:
    """Positive evidence that a claim has ended: a higher epoch with another owner, or a tombstone."""

    hub: str
    epoch: Epoch
    owner: str | None
    tombstone: bool


@dataclass(frozen=True, slots=True)
class ClaimsAnswer:
    """What the answer says of claims that the grant does not list."""

    revoked: tuple[Ended, ...]
    unknown: tuple[str, ...]


def answer_claims(
    site: str, claims: Mapping[str, Epoch], granted: Mapping[str, Owned], records: Mapping[str, Ownership | None]
) -> ClaimsAnswer:
    """Only positive evidence revokes (H6): no record, or a record that is not newer than the claim, is a register
    fault to be reported, and stops nothing."""
    revoked: list[Ended] = []
    unknown: list[str] = []
    for hub, epoch in claims.items():
        if hub in granted:
            continue
        record = records.get(hub)
        if record is not None and record.epoch > epoch and (record.tombstone or record.owner not in (None, site)):
            revoked.append(Ended(hub, record.epoch, record.owner, record.tombstone))
        else:
            unknown.append(hub)
    return ClaimsAnswer(tuple(revoked), tuple(unknown))
