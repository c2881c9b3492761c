"""One thing that goes wrong, and which of them together no design covers.

Agent and fencer of one site that both hang while a lease ends are left out of what is drawn: nothing at the site could end
its hubs then. The gate has closed by itself and the class is the other site's, but processes run on
(docs/explanation/failover.md, "What is not covered"). A fencer that is back in time is covered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from federation.model.profile import PROFILES, ProfileName

LAB = PROFILES[ProfileName.LAB]
ENDED_S = (
    LAB.contact_s + LAB.fence_s + LAB.fencer_s
)  # after the agent's last word, all that was granted is over and ended
AGENT_AWAY = ("journal lost", "lease file lost", "lease file rolled back", "run emptied")
HANGS = ("pause", "crash")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault: from `at` (seconds into the chaos) for `seconds`. `target`: a process, a machine or a site."""

    at: float
    kind: str
    target: str
    seconds: float
    detail: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = f" {' '.join(self.detail)}" if self.detail else ""
        return f"+{self.at:.1f} s {self.kind} {self.target}{more} for {self.seconds:.1f} s"


def covered(troubles: Iterable[Trouble], sites: Iterable[str]) -> tuple[Trouble, ...]:
    """The same without those that take the fencer from a site whose agent is away, too, just when it is needed."""
    every = tuple(troubles)
    left_out = {fault for site in sites for fault in _fencer(every, site) if _needed(fault, every, site)}
    return tuple(trouble for trouble in every if trouble not in left_out)


def _fencer(troubles: Iterable[Trouble], site: str) -> list[Trouble]:
    return [one for one in troubles if one.kind in HANGS and one.target == f"fencer-{site}"]


def _needed(fencer: Trouble, troubles: Iterable[Trouble], site: str) -> bool:
    return any(_takes_agent(one, site) and _both(one, fencer) for one in troubles)


def _takes_agent(trouble: Trouble, site: str) -> bool:
    if trouble.kind in HANGS:
        return trouble.target == f"agent-{site}"
    return trouble.kind in AGENT_AWAY and trouble.target == site


def _both(agent: Trouble, fencer: Trouble) -> bool:
    """Whether the fencer is away when it would have to act, and the agent has not come back before."""
    due_s = agent.at + LAB.contact_s
    ends_s, back_s = agent.at + ENDED_S, fencer.at + fencer.seconds
    agent_back_s = agent.at + agent.seconds
    return agent_back_s > due_s and fencer.at < ends_s and back_s > ends_s and fencer.at < agent_back_s
