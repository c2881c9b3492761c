"""Where a classroom goes: rules that filter sites, then a score; every site's verdict is kept with its reason (I9).

First placement only: fits? the preferred site, else the best fit (the site with the least room left, so that large
classes still find room). A hub that has an owner is never placed again here; moving is an operation of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.model.placing import Verdict


@dataclass(frozen=True, slots=True)
class Need:
    """What a classroom is guaranteed: seats x guarantee, in millicores and bytes."""

    seats: int
    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site as the decision sees it. `reserved_*` is what is guaranteed to classrooms placed there already."""

    name: str
    cpu_millis: int
    memory_bytes: int
    reserved_cpu_millis: int = 0
    reserved_memory_bytes: int = 0
    joined: bool = True
    silent_s: float | None = 0.0  # since the last renewal was seen; None: never seen
    isolated: bool = True
    cordon: str = ""  # why nothing new is placed there; empty: it is open

    @property
    def free_cpu_millis(self) -> int:
        """Not yet promised to anybody."""
        return self.cpu_millis - self.reserved_cpu_millis

    @property
    def free_memory_bytes(self) -> int:
        """Not yet promised to anybody."""
        return self.memory_bytes - self.reserved_memory_bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """What the classroom file says about sites. An empty `allow` allows all; `standby` None: chosen among the rest."""

    allow: tuple[str, ...] = ()
    prefer: str | None = None
    standby: str | None = None
    wants_standby: bool = True
    homes_at: str | None = None  # a hub that ran before: the only site that has its homes
    sealed_to: frozenset[str] | None = None  # sites whose agents can open its secret; None: not sealed yet


@dataclass(frozen=True, slots=True)
class Choice:
    """The decision. `site` None: nothing fits now, and the verdicts say why."""

    site: str | None
    standby: str | None
    reason: str
    verdicts: tuple[Verdict, ...]


SILENT_S = 30.0  # a site that was not heard for so long is no place for a new hub

Rule = Callable[[SiteFacts, Need, Wish], str | None]
"""Returns why a site is out, or None."""


def _allowed(site: SiteFacts, _need: Need, wish: Wish) -> str | None:
    if wish.allow and site.name not in wish.allow:
        return f"placement.allow is {', '.join(wish.allow)}"
    return None


def _present(site: SiteFacts, _need: Need, _wish: Wish) -> str | None:
    if not site.joined:
        return "has not joined the federation"
    if site.silent_s is None:
        return "its agent was never heard"
    if site.silent_s > SILENT_S:
        return f"its agent was not heard for more than {SILENT_S:.0f} s"
    return None


def _open(site: SiteFacts, _need: Need, _wish: Wish) -> str | None:
    return f"is cordoned: {site.cordon}" if site.cordon else None


def _homes(site: SiteFacts, _need: Need, wish: Wish) -> str | None:
    if wish.homes_at is not None and site.name != wish.homes_at:
        return f"its students' homes are at {wish.homes_at}, and there is no copy here"
    return None


def _secret(site: SiteFacts, _need: Need, wish: Wish) -> str | None:
    if wish.sealed_to is not None and site.name not in wish.sealed_to:
        return "its agent cannot open the secret for sign-in: set the secret again, now that the site is there"
    return None


def _cpu(site: SiteFacts, need: Need, _wish: Wish) -> str | None:
    if need.cpu_millis > site.free_cpu_millis:
        return (
            f"needs {_cores(need.cpu_millis)} cores for {need.seats} seats, "
            f"{_cores(site.free_cpu_millis)} of {_cores(site.cpu_millis)} are free"
        )
    return None


def _memory(site: SiteFacts, need: Need, _wish: Wish) -> str | None:
    if need.memory_bytes > site.free_memory_bytes:
        return (
            f"needs {_gib(need.memory_bytes)} GiB for {need.seats} seats, "
            f"{_gib(site.free_memory_bytes)} of {_gib(site.memory_bytes)} are free"
        )
    return None


RULES: tuple[Rule, ...] = (_allowed, _present, _open, _homes, _secret, _cpu, _memory)


def no_room(site: SiteFacts, need: Need) -> str | None:
    """Why the site cannot guarantee `need` on top of what is reserved there; None: it can."""
    return _cpu(site, need, Wish()) or _memory(site, need, Wish())


def room(site: SiteFacts, need: Need) -> str:
    """What is needed and what is free there, in numbers."""
    return (
        f"needs {_cores(need.cpu_millis)} cores and {_gib(need.memory_bytes)} GiB for {need.seats} seats; "
        f"{_cores(site.free_cpu_millis)} of {_cores(site.cpu_millis)} cores and "
        f"{_gib(site.free_memory_bytes)} of {_gib(site.memory_bytes)} GiB are free"
    )


def judge(site: SiteFacts, need: Need, wish: Wish) -> Verdict:
    """One site's verdict. Score 0..100: how full the site would be, so the best fit scores highest."""
    for rule in RULES:
        objection = rule(site, need, wish)
        if objection is not None:
            return Verdict(site=site.name, fits=False, reason=objection)
    score = _fullness(site, need)
    cores, memory = site.free_cpu_millis - need.cpu_millis, site.free_memory_bytes - need.memory_bytes
    free = f"{_cores(cores)} cores and {_gib(memory)} GiB"
    return Verdict(site=site.name, fits=True, reason=f"fits; {free} stay free", score=score)


def choose(sites: tuple[SiteFacts, ...], need: Need, wish: Wish) -> Choice:
    """Place a classroom that has no owner. Ties go to the name that sorts first, so that the answer is repeatable."""
    verdicts = tuple(judge(site, need, wish) for site in sorted(sites, key=lambda s: s.name))
    fitting = [v for v in verdicts if v.fits]
    if not fitting:
        objections = "; ".join(f"{v.site}: {v.reason}" for v in verdicts) or "no site has joined"
        return Choice(None, None, f"no site fits ({objections})", verdicts)
    best = max(fitting, key=lambda v: v.score)
    preferred = next((v for v in fitting if v.site == wish.prefer), None)
    chosen = preferred or best
    if preferred is not None:
        reason = "preferred and fits"
    elif wish.prefer is not None:
        against = next((v.reason for v in verdicts if v.site == wish.prefer), "unknown site")
        reason = f"best fit; preferred {wish.prefer} is out: {against}"
    else:
        reason = "best fit"
    return Choice(chosen.site, _standby(verdicts, chosen.site, wish), reason, verdicts)


def _standby(verdicts: tuple[Verdict, ...], chosen: str, wish: Wish) -> str | None:
    if not wish.wants_standby:
        return None
    if wish.standby is not None and wish.standby != chosen:
        return wish.standby
    others = [v for v in verdicts if v.fits and v.site != chosen]
    return max(others, key=lambda v: v.score).site if others else None


def _fullness(site: SiteFacts, need: Need) -> int:
    cpu = (site.reserved_cpu_millis + need.cpu_millis) / max(site.cpu_millis, 1)
    memory = (site.reserved_memory_bytes + need.memory_bytes) / max(site.memory_bytes, 1)
    return round(100 * min(1.0, max(cpu, memory)))


def _cores(millis: int) -> str:
    return f"{millis / 1000:g}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.4g}"
