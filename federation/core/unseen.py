"""Whether a class that students cannot see is moved although its site lives: what other places see, as a reason to move.

A line between institutions fails more often than a site, and a place that looks may be broken itself. So it takes three
misses in a row from two places or more, nobody who sees the class, and one of those places that reaches the site where it
would go. Nothing waits for a lease: both sites live, so it is a planned move, and loses nothing.

A certificate that no browser takes is a miss like others, but often the same at both sites: reached is a site only with a
certificate that holds for this class's name, so that none is moved in vain.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from federation.core.relocation import Relocate, Stay
from federation.core.server_tests import AHEAD_S
from federation.core.takeover import AGAIN_S
from federation.model.outlook import FIRM, Fault, Outlook, Trial

PLACES = 2  # that miss it: one alone may be blind


@dataclass(frozen=True, slots=True)
class Unseen:
    """One hub and what is said of it. `outlooks`: all of this hub. `serves`: its agent says so; `fresh`: its site's lease
    is; `frozen`: why nothing is moved by itself; `also_bad`: other sites that look bad. `target`: the standby, empty with
    `refused` if none can take it. `fixed`: the class's file forbids moves. `moved_s`: since the last automatic move,
    or the last that was tried. `trials`: of test servers, `generation`: that is served, `also_failing`: other sites where
    they fail, `meets_within_s`: until its next class time, None: none within a day. `since`: a test server that was tried
    before says nothing of now. `working`: students' servers that run."""

    site: str
    outlooks: tuple[Outlook, ...]
    serves: bool
    fresh: bool
    target: str
    refused: str = ""
    frozen: str = ""
    also_bad: tuple[str, ...] = ()
    fixed: bool = False
    busy: bool = False
    moved_s: float | None = None
    trials: tuple[Trial, ...] = ()
    generation: int = 0
    also_failing: tuple[str, ...] = ()
    meets_within_s: float | None = None
    since: datetime | None = None
    working: int = 0

    @property
    def recent(self) -> tuple[Trial, ...]:
        """Trials that still say something."""
        return tuple(one for one in self.trials if self.since is None or one.at >= self.since)


def missing(site: str, outlooks: Iterable[Outlook]) -> tuple[Outlook, ...]:
    """The words of those that miss the class of this owner for sure; none if one place sees it, or fewer than two miss
    it. Of several coordinators at one place all have to."""
    about = [one for one in outlooks if one.site == site and one.place != site]
    firm = tuple(one for one in about if one.problem and one.misses >= FIRM)
    seen = any(not one.problem for one in about)
    unsure = {one.place for one in about if one.problem and one.misses < FIRM}
    places = {one.place for one in firm} - unsure
    return () if seen or len(places) < PLACES else tuple(one for one in firm if one.place in places)


def decide(hub: Unseen) -> Relocate | Stay:
    """What to do about it now. The reason of `Stay` is empty if the class is seen, or not missed for sure."""
    missed = missing(hub.site, hub.outlooks)
    if not missed:
        return _without_servers(hub)
    objection = _not_a_matter_of_its_site(hub, missed) or _not_now(hub, missed)
    if objection:
        return Stay(objection)
    places = " and ".join(sorted({one.place for one in missed}))
    # behind a certificate that has just ended people work on in connections that are open: they are waited for
    patient = hub.working > 0 and all(one.fault is Fault.TLS for one in missed)
    return Relocate(hub.target, f"not seen from {places}, {FIRM} looks in a row: {missed[0].problem}", patient=patient)


def _not_a_matter_of_its_site(hub: Unseen, missed: tuple[Outlook, ...]) -> str:
    """Why a move would not help, or somebody else has to act."""
    if any(one.fault is Fault.NAME for one in missed):
        return "it is the name that fails, so a move would not help"
    if not hub.fresh:
        return f"the lease of {hub.site} is not fresh: that is a matter of takeover"
    if not hub.serves:
        return f"{hub.site} does not say that it serves"
    if hub.also_bad:
        return f"{' and '.join(hub.also_bad)} look bad, too: more than one site, so nothing is moved by itself"
    return ""


def missed_at_all(hub: Unseen, *, patient: bool) -> bool:
    """Whether what ordered a move is still so: the class is missed for sure; or its servers are, for a move that waits for
    those who work, and for no other: one that does not would end servers that run."""
    return bool(missing(hub.site, hub.outlooks) or (patient and missing(hub.site, hub.recent)))


def _without_servers(hub: Unseen) -> Relocate | Stay:
    """Its page is there, and test servers do not start. Those who work have their servers, so they are waited for."""
    missed = missing(hub.site, hub.recent)
    if not missed:
        return Stay()
    objection = _not_a_matter_of_its_site(hub, missed) or _its_own_fault(hub) or _not_now(hub, missed)
    if objection:
        return Stay(objection)
    places = " and ".join(sorted({one.place for one in missed}))
    reason = f"test servers asked for from {places} did not start, {FIRM} in a row: {missed[0].problem}"
    return Relocate(hub.target, reason, patient=True)


def _its_own_fault(hub: Unseen) -> str:
    """What goes along with a class would fail at the next site as well: only a class of which a server has started there,
    as it is now, was stopped by its site. So none is moved to and back again for an image that does not start."""
    if hub.also_failing:
        sites = " and ".join(hub.also_failing)
        return f"test servers fail at {sites}, too: it may be what the sites share, so nothing is moved by itself"
    if not any(one.passed == hub.generation for one in hub.trials if one.site == hub.site):
        return f"none has started there at generation {hub.generation} yet: it may be the class's own image or settings"
    if hub.meets_within_s is not None and hub.meets_within_s <= AHEAD_S:
        return "it meets now or soon, when nothing is tested: what was found before may be over"
    return ""


def _not_now(hub: Unseen, missed: tuple[Outlook, ...]) -> str:
    if hub.frozen:
        return hub.frozen
    if hub.fixed:
        return "placement.movable is never: only `fedctl move --now` moves it"
    if hub.busy:
        return "another operation is under way"
    if hub.moved_s is not None and hub.moved_s < AGAIN_S:
        return "it was moved by itself, or that was tried, within the last hour"
    if not hub.target:
        return hub.refused
    if any(hub.target in one.reaches for one in missed if one.place != hub.target):
        return ""
    if any(one.fault is Fault.TLS for one in missed):
        return f"nobody who misses it finds a certificate at {hub.target} that holds for its name, so a move would not help"
    return f"nobody who misses it reaches {hub.target}: the fault may be theirs"


def badly_seen(outlooks: Iterable[Outlook]) -> frozenset[str]:
    """Sites with a class that is missed for sure. A certificate is one class's, and says nothing of its site; whether
    another one holds is looked at where the class would go."""
    by_hub: dict[tuple[str, str], list[Outlook]] = {}
    for one in outlooks:
        by_hub.setdefault((one.hub, one.site), []).append(one)
    return frozenset(
        site for (_hub, site), said in by_hub.items() if any(one.fault is not Fault.TLS for one in missing(site, said))
    )
