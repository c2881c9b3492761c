"""The lines of the benchmarks' page about outages."""

from __future__ import annotations

import statistics

from federation.coordinator.takeovers import MOST_AT_ONCE
from federation.model.profile import PROFILES, Profile, ProfileName
from tests.bench.outages import STEPS, Loss

AT_ONCE = 3  # classes that an outage hits
PICTURE = "failover-timeline.svg"
AIM_S = 15.0  # p95 of the RTO is to be below L and so much
KINDS = {
    "kill": "a site dies",
    "kill-leader": "a site dies that has the leader",
    "freeze": "a site freezes (is cut off, and hangs)",
    "freeze-leader": "a site freezes that has the leader",
    "cut": "a site is cut off, and lives",
    "cut-leader": "a site is cut off that has the leader, and lives",
    "move": "a planned move (away)",
    "move-leader": "a planned move away from the site that has the leader",
}
"""Where it is not said, the leader is at the witness, which campaigns first."""


def planned(kind: str) -> bool:
    """Whether nothing fails."""
    return kind.startswith("move")


def hits_leader(kind: str) -> bool:
    """Whether the site has the leader."""
    return kind.endswith("-leader")


def lines(found: dict[str, list[Loss]], profile: Profile) -> list[str]:
    """The page's lines."""
    head = ("fault", "classes", "RTO p50 / p95 / most", "RPO p50 / p95 / most", "two copies seen")
    text = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --- |"]
    for kind, losses in found.items():
        rto, rpo = spread([loss.rto for loss in losses]), spread([loss.rpo for loss in losses])
        overlap = f"{max((loss.overlap for loss in losses), default=0.0):.1f} s"
        text.append(f"| {KINDS[kind]} | {len(losses)} | {rto} | {rpo} | {overlap} |")
    unplanned = [loss.rto for kind, losses in found.items() if not planned(kind) for loss in losses]
    within_s = profile.takeover_s + AIM_S
    met = "met" if percentile(unplanned, 0.95) <= within_s else "**missed**"
    first = [seconds for kind, losses in found.items() if not planned(kind) for seconds in first_ones(losses)]
    text += [
        "",
        f"p95 of all outages: {percentile(unplanned, 0.95):.1f} s; goal at most L + 15 = {within_s:g} s: {met}.",
    ]
    text[-1] += (
        f" At most {MOST_AT_ONCE} classes restore at one site at a time, so that one of {AT_ONCE} waits for that:"
    )
    text[-1] += f" p95 of the others is {percentile(first, 0.95):.1f} s. A lost leader costs its own lease of"
    text[-1] += f" {profile.leader_ttl_s:g} s on top of L."
    text += ["", *phases(found), "", *at_norm(unplanned, profile), ""]
    text.append(
        f"{AT_ONCE} classes are hit at once, each with a student who saves twice a second; profile `{profile.name}`"
        f" (L = {profile.takeover_s:g} s), copies every minute. RPO is bounded by the age of the newest copy, so by"
        " `storage.protect.every`. Planned moves copy once more after the stop."
    )
    return text


def first_ones(losses: list[Loss]) -> list[float]:
    """RTO of those that did not wait for others of the same outage."""
    outages = [losses[n : n + AT_ONCE] for n in range(0, len(losses), AT_ONCE)]
    return [seconds for outage in outages for seconds in sorted(loss.rto for loss in outage)[:MOST_AT_ONCE]]


def phases(found: dict[str, list[Loss]]) -> list[str]:
    """Where the time of an outage goes."""
    outages = {kind: medians(losses) for kind, losses in found.items() if not planned(kind)}
    text = ["Seconds after the fault until each step of the takeover was done (medians):", ""]
    text += [f"| step | {' | '.join(KINDS[kind] for kind in outages)} |", "| --- |" + " --- |" * len(outages)]
    for step in STEPS:
        after = [f"{steps[step]:.1f} s" if step in steps else "-" for steps in outages.values()]
        text.append(f"| {step} | {' | '.join(after)} |")
    return [*text, "", f"![the same to scale]({PICTURE})"]


def medians(losses: list[Loss]) -> dict[str, float]:
    """When each step was done."""
    after = {step: [loss.phases[step] for loss in losses if step in loss.phases] for step in STEPS}
    return {step: statistics.median(seconds) for step, seconds in after.items() if seconds}


def at_norm(rto: list[float], measured: Profile) -> list[str]:
    """What the measured part says of the other profile: only the waiting for the lease differs."""
    norm = PROFILES[ProfileName.NORM]
    rest = [seconds - measured.takeover_s for seconds in rto]
    p50, p95 = (norm.takeover_s + percentile(rest, q) for q in (0.5, 0.95))
    text = (
        f"At `norm`, by arithmetic: L = {norm.takeover_s:g} s in the place of {measured.takeover_s:g} s, and the rest as"
        f" measured here: {p50:.0f} s (p50), {p95:.0f} s (p95). Its hubs start on a cluster, which is not in this."
    )
    return [text]


def spread(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    return f"{percentile(seconds, 0.5):.1f} / {percentile(seconds, 0.95):.1f} / {max(seconds):.1f} s"


def percentile(seconds: list[float], q: float) -> float:
    """The nearest one of the values; 0 of none."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))] if ordered else 0.0
