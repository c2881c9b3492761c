"""How often lost messages alone would move a class: the lease model by itself, with the product's own judgement of
renewals and count of silence, on simulated time. No process, no network; a message is lost or arrives at once.

A renewal that is not answered within its time goes to the next coordinator, as `agents/link.py` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from federation.core.lease_count import LeaseCounts
from federation.core.renewal import Answerable, Renewal, deaf_after, judge
from federation.model.ownership import AgentRecord, SiteLease
from federation.model.profile import PROFILES, Profile, ProfileName

HOURS = 1000
LOSSES = (0.01, 0.05, 0.10, 0.30)
COORDINATORS = 3
SITE, UID = "iu", "uid-iu"


@dataclass
class Seen:
    """Over all hours: failovers of a site that lives, moments in which it closed its classes for want of an answer, and
    the longest time without a grant in the leader's eyes."""

    failovers: int = 0
    closures: int = 0
    longest_s: float = 0.0


def lease_model() -> list[str]:
    """One row per profile and loss."""
    lines = ["| profile | messages lost | false failovers | closed for a moment | longest silence seen; L |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name in (ProfileName.LAB, ProfileName.NORM):
        for loss in LOSSES:
            profile, seen = PROFILES[name], run(PROFILES[name], loss, HOURS * 3600.0)
            silence = f"{seen.longest_s:.0f} s; {profile.takeover_s:g} s"
            lines.append(f"| `{name}` | {loss:.0%} | {seen.failovers} | {seen.closures} | {silence} |")
    return lines


def run(profile: Profile, loss: float, seconds: float) -> Seen:
    """A site that renews for so long."""
    random, seen = Random(f"{profile.name} {loss}"), Seen()
    counts, agent = LeaseCounts(gap_s=float("inf")), AgentRecord(site=SITE, uid=UID, incarnation=1)
    lease: SiteLease | None = None
    deaf, timeout_s = deaf_after(profile.contact_s, profile.renew_s), max(1.0, profile.renew_s)
    now = contact = 0.0
    seq = heard = 0
    while now < seconds:
        for _coordinator in range(COORDINATORS):
            seq += 1
            sent, answered = now, False
            if random.random() >= loss:
                answer = judge(Renewal(SITE, UID, 1, seq, heard), agent, lease, deaf)
                if answer is Answerable.RENEW:
                    silent_s = counts.silent_s(SITE, now)
                    seen.failovers += silent_s >= profile.takeover_s
                    seen.longest_s = max(seen.longest_s, silent_s)
                    lease = SiteLease(site=SITE, incarnation=1, seq=seq, heard=heard)
                    counts.read({SITE: seq}, now, now)
                answered = random.random() >= loss
                if answered:
                    heard = seq
                    if answer is Answerable.RENEW:
                        seen.closures += sent - contact > profile.contact_s
                        contact = sent
            if answered:
                break
            now += timeout_s
        now += profile.renew_s
    return seen
