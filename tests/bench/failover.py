"""What an outage costs: outages of each kind in turns, planned moves, and the lines of the page about them."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from federation.model.profile import PROFILES, Profile, ProfileName
from tests.bench.outages import EVERY_MINUTE, ONLOOKER_S, OTHER, STEPS, Loss, moved, outage
from tests.bench.timeline import timeline
from tests.support.federation import Federation, federation, until
from tests.support.leader import leader
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges

AT_ONCE = 3  # classes that an outage hits
PHASES = 6  # the newest copy is not always of the same age
SITES = ("iu", "tacc")
COORDINATORS = {"c1": "iu", "c2": "tacc", "c3": "witness"}
PICTURE = "failover-timeline.svg"
AIM_S = 15.0  # p95 of the RTO is to be below L and so much
KINDS = {
    "kill": "a site dies",
    "kill-leader": "a site dies that had the leader",
    "freeze": "a site freezes (is cut off, and hangs)",
    "move": "a planned move (away)",
}


@dataclass(frozen=True, slots=True)
class OneMachine:
    """`Faults` of a federation that `fedctl up` started."""

    here: Federation

    def fault(self, kind: str, site: str) -> None:
        self.here.lab("freeze" if kind == "freeze" else "kill", site)

    def mend(self, kind: str, site: str) -> None:
        self.here.lab("heal", site)

    @contextmanager
    def watched(self, name: str, site: str) -> Iterator[tuple[Onlooker, Onlooker]]:
        looked_at, host = edges(self.here), f"{name}.localhost"
        with (
            Onlooker({site: looked_at[site]}, host, ONLOOKER_S) as near,
            Onlooker({OTHER[site]: looked_at[OTHER[site]]}, host, ONLOOKER_S) as there,
        ):
            yield near, there


def failover(runs: int) -> tuple[list[str], str]:
    """`runs` classes of each kind, a few at a time: the page's lines, and the picture `PICTURE`."""
    found: dict[str, list[Loss]] = {kind: [] for kind in KINDS}
    with federation() as here:
        faults = OneMachine(here)
        for turn in range(-(-runs // AT_ONCE)):
            for kind in KINDS:
                print(f"bench: failover, {kind} {turn + 1} of {-(-runs // AT_ONCE)}", flush=True)
                site = with_leader(here) if kind == "kill-leader" else without_leader(here)
                names = [f"{kind}{turn}{n}" for n in range(AT_ONCE)]  # a class is moved by itself once an hour at most
                with ExitStack() as stack:
                    spec = {"storage": EVERY_MINUTE, "placement": {"allow": list(SITES), "prefer": site}}
                    words = {name: stack.enter_context(here.placed(name, **spec)) for name in names}
                    if kind == "move":
                        found[kind] += moved(faults, site, words)
                    else:
                        found[kind] += outage(faults, kind, site, words, 60 / PHASES * (turn % PHASES))
    profile = PROFILES[ProfileName.LAB]
    rows = {KINDS[kind]: medians(losses) for kind, losses in found.items() if kind != "move"}
    return lines(found, profile), timeline(rows, profile)


def with_leader(here: Federation) -> str:
    """A site whose coordinator leads: the witness's campaigns first, so it is taken away for a while."""
    here.lab("kill", "witness", "--only", "coordinator")
    until(lambda: leads_at(here) in SITES, "a site's coordinator leads", 60, here.logs)
    here.lab("heal", "witness")
    return leads_at(here)


def without_leader(here: Federation) -> str:
    """A site while the witness's coordinator leads."""
    while leads_at(here) != "witness":
        site = leads_at(here)
        if site in SITES:
            here.lab("kill", site, "--only", "coordinator")
            until(lambda: leads_at(here) not in ("", site), "another one leads", 60, here.logs)  # noqa: B023 - at once
            here.lab("heal", site)
    return SITES[0]


def leads_at(here: Federation) -> str:
    """Where the leader is; empty: nobody leads."""
    return COORDINATORS.get(leader(here), "")


def lines(found: dict[str, list[Loss]], profile: Profile) -> list[str]:
    """The page's lines."""
    head = ("fault", "classes", "RTO p50 / p95 / most", "RPO p50 / p95 / most", "two copies seen")
    text = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --- |"]
    for kind, losses in found.items():
        rto, rpo = spread([loss.rto for loss in losses]), spread([loss.rpo for loss in losses])
        overlap = f"{max((loss.overlap for loss in losses), default=0.0):.1f} s"
        text.append(f"| {KINDS[kind]} | {len(losses)} | {rto} | {rpo} | {overlap} |")
    unplanned = [loss.rto for kind, losses in found.items() if kind != "move" for loss in losses]
    within_s = profile.takeover_s + AIM_S
    met = "met" if percentile(unplanned, 0.95) <= within_s else "**missed**"
    text += [
        "",
        f"p95 of all outages: {percentile(unplanned, 0.95):.1f} s; goal at most L + 15 = {within_s:g} s: {met}.",
    ]
    text += ["", *phases(found), "", *at_norm(unplanned, profile), ""]
    text.append(
        f"{AT_ONCE} classes are hit at once, each with a student who saves twice a second; profile `{profile.name}`"
        f" (L = {profile.takeover_s:g} s), copies every minute. RPO is bounded by the age of the newest copy, so by"
        " `storage.protect.every`. Planned moves copy once more after the stop."
    )
    return text


def phases(found: dict[str, list[Loss]]) -> list[str]:
    """Where the time of an outage goes."""
    outages = {kind: medians(losses) for kind, losses in found.items() if kind != "move"}
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
