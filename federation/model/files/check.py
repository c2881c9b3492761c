"""Checks that need to know the sites: used by `fedctl check --sites` and by the coordinator's admission alike."""

from __future__ import annotations

from collections.abc import Mapping

from federation.model.classroom import Classroom
from federation.model.classroom_running import ANY_STANDBY, NO_STANDBY
from federation.model.files.finding import Finding, Position, finding_at
from federation.model.quantities import Memory
from federation.model.refusal import Place, Problem
from federation.model.scalars import near_miss

SitesKnown = Mapping[str, tuple[int, int]]  # name -> (millicores, bytes) that the site can guarantee; 0: not known


def check_against(
    classroom: Classroom, sites: SitesKnown | None, positions: dict[Place, Position] | None = None, file: str = ""
) -> tuple[Finding, ...]:
    """Unknown sites, and more seats than all allowed sites together have. `sites` None: nothing is known, so nothing
    is refused; an empty mapping says that there are no sites."""
    if sites is None:
        return ()
    problems = _unknown_sites(classroom, sites) or _too_many_seats(classroom, sites)
    return tuple(finding_at(file, positions or {}, problem) for problem in problems)


def _unknown_sites(classroom: Classroom, sites: SitesKnown) -> list[Problem]:
    placement = classroom.spec.placement
    named: list[tuple[Place, str]] = [(("allow", index), site) for index, site in enumerate(placement.allow)]
    if placement.prefer is not None:
        named.append((("prefer",), placement.prefer))
    if placement.standby not in (ANY_STANDBY, NO_STANDBY):
        named.append((("standby",), placement.standby))
    places = [(("spec", "placement", *place), site) for place, site in named]
    places += [
        (("spec", "data", index, "prefer_site"), source.prefer_site)
        for index, source in enumerate(classroom.spec.data)
        if source.prefer_site is not None
    ]
    known = sorted(sites)
    allowed = f"one of {', '.join(known)}" if known else "none: no site has joined yet"
    return [_unknown(site, known, allowed, place) for place, site in places if site not in sites]


def _unknown(site: str, known: list[str], allowed: str, place: Place) -> Problem:
    near = near_miss(site, known)
    hint = f"; did you mean {near}?" if near else ""
    return Problem(f"unknown site {site}{hint}", allowed, near or (known[0] if known else "iu"), place)


def _too_many_seats(classroom: Classroom, sites: SitesKnown) -> list[Problem]:
    """A seat does not straddle sites, but classes do not either: what one site cannot hold, the planner says later.
    Here only what all together cannot hold is refused, because no waiting will help."""
    spec = classroom.spec
    candidates = [sites[name] for name in (spec.placement.allow or tuple(sites))]
    if not candidates or any(not cpu or not memory for cpu, memory in candidates):
        return []
    seats = spec.roster.expected
    cpu, memory = sum(site[0] for site in candidates), sum(site[1] for site in candidates)
    room = min(cpu // max(1, spec.seat_cpu_millis), memory // max(1, spec.seat_memory_bytes))
    if seats <= room:
        return []
    wrong = (
        f"{seats} seats of {spec.seat_cpu_millis / 1000:g} cores and {Memory(spec.seat_memory_bytes)} need "
        f"{seats * spec.seat_cpu_millis / 1000:g} cores and {_gib(seats * spec.seat_memory_bytes)}; "
        f"all allowed sites together have {cpu / 1000:g} cores and {_gib(memory)}"
    )
    return [Problem(wrong, f"at most {room} seats of this size", str(room), ("spec", "roster", "expected"))]


def _gib(amount: int) -> str:
    return f"{amount / (1 << 30):.4g}G"
