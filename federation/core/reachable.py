"""From how many places a class is seen, as students there would see it. Said here; what follows is `core.unseen`'s."""

from __future__ import annotations

from collections.abc import Iterable

from federation.model.outlook import Outlook, Trial
from federation.model.status import Condition, ConditionType, Truth

ENDS_SOON = "CertificateEndsSoon"
"""Reason of a class that is seen with a certificate that will not hold for long."""
TWICE = 2  # one look that fails is a lost packet; two in a row are said


def outside(places: Iterable[str], owner: str) -> tuple[str, ...]:
    """The failure domains from which the class is looked at: all but its own."""
    return tuple(sorted(set(places) - {owner, ""}))


def reachable(places: tuple[str, ...], owner: str, outlooks: Iterable[Outlook]) -> Condition | None:
    """The condition `Reachable`, from what each place said last; None: there is no place outside. Several coordinators at
    one place see it if one of them does. What was said about another owner counts for nothing."""
    if not places:
        return None
    kind = ConditionType.REACHABLE
    said: dict[str, str] = {}
    warnings: set[str] = set()
    for outlook in outlooks:
        if outlook.place in places and outlook.site == owner:
            warnings.add(outlook.warning)
            said[outlook.place] = "" if said.get(outlook.place) == "" else outlook.problem
    if not said:
        message = f"nobody at {' or '.join(places)} has looked yet"
        return Condition(type=kind, status=Truth.UNKNOWN, reason="NotLooked", message=message)
    seen = [place for place in places if said.get(place) == ""]
    if len(seen) == len(said):
        mute = [place for place in places if place not in said]
        rest = f"; {' and '.join(mute)} does not say" if mute else ""
        ends = sorted(warnings - {""})
        message = "; ".join((f"seen from {' and '.join(seen)}{rest}", *ends))
        return Condition(type=kind, status=Truth.TRUE, reason=ENDS_SOON if ends else "Seen", message=message)
    not_seen = "; ".join(f"{place}: {said[place]}" for place in places if said.get(place))
    message = f"seen from {len(seen)} of {len(said)} places; not from {not_seen}"
    return Condition(type=kind, status=Truth.FALSE, reason="NotSeen", message=message)


def word(known: str | None, problem: str, failures: int) -> str | None:
    """What a place says after a look: `known` is what it said last (None: nothing yet), `failures` how many looks in a row
    failed, this one included. None: it says nothing yet."""
    if problem and failures < TWICE:
        return known
    return problem


def servers_start(places: tuple[str, ...], owner: str, trials: Iterable[Trial]) -> Condition | None:
    """The condition `ServersStart`, from the last test server of each place; None: there was none. It says as of when, for
    none is started in class times."""
    said = sorted((t for t in trials if t.place in places and t.site == owner), key=lambda t: (t.at, t.coordinator))
    if not said:
        return None
    kind, as_of = ConditionType.SERVERS_START, f"as of {said[-1].at:%Y-%m-%d %H:%M} UTC"
    failed = [t for t in said if t.problem]
    if not failed:
        message = f"a test server started, asked for from {' and '.join(sorted({t.place for t in said}))}, {as_of}"
        return Condition(type=kind, status=Truth.TRUE, reason="Started", message=message)
    why = "; ".join(sorted({f"{t.place}: {t.problem}" for t in failed}))
    message = f"a test server did not start, asked for from {why}, {as_of}"
    return Condition(type=kind, status=Truth.FALSE, reason="NotStarted", message=message)
