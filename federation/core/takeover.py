"""Whether a hub of a silent site is to be taken over, and by whom (DESIGN.md 4.2 "Takeover", PROTOCOL.md H2, H4, H5, H11).

One pure verdict per hub and look. It stops nothing: the silent site has fenced itself by then, or its hub is standing
and not to be moved. No target, several silent sites, a pause: the hub stays whose it is, and the reason is shown (I5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from federation.model.identity import Members
from federation.model.ownership import Mode, Owned, Ownership, WantedMode

AGAIN_S = 3600.0  # at most one automatic move per hub and hour: a hub that makes sites fail must not visit them all


@dataclass(frozen=True, slots=True)
class SiteSight:
    """One member as this leader sees it. `silent_s` counts from the first sight of its newest grant; `counting` is
    False until the first read after the counts restarted. `hubs`: how many it owns."""

    name: str
    silent_s: float
    revision: int
    hubs: int
    members_ack: int = 0
    counting: bool = True


@dataclass(frozen=True, slots=True)
class World:
    """What is the same for all hubs. L and 2r in seconds."""

    takeover_s: float
    fresh_s: float
    sites: Mapping[str, SiteSight]
    members: Members
    paused: str = ""  # why, if somebody switched automatic moves off

    @property
    def lapsed(self) -> tuple[str, ...]:
        """Sites with hubs whose lease is over for sure."""
        return tuple(sorted(s.name for s in self.sites.values() if s.hubs and self.is_lapsed(s)))

    def is_lapsed(self, site: SiteSight) -> bool:
        """L has passed since the first sight of its newest grant."""
        return site.counting and site.silent_s > self.takeover_s

    @property
    def frozen(self) -> str:
        """Why no hub is moved at all; empty: moves are allowed. More than one bad site looks like our own fault."""
        if self.paused:
            return f"automatic moves are paused: {self.paused}"
        if len(self.lapsed) > 1:
            return f"{' and '.join(self.lapsed)} are silent: more than one site, so nothing is moved by itself"
        return ""


@dataclass(frozen=True, slots=True)
class Target:
    """A site that the classroom's file allows as standby. `objection`: why the hub cannot run there; empty: it can."""

    site: str
    objection: str = ""


@dataclass(frozen=True, slots=True)
class HubAtRisk:
    """One hub of a silent site. `targets` in order of preference; `counted`: the lease revision with which this began,
    0 before it began; `moved_s`: since its last automatic move; `turn`: nobody more urgent waits for the same place;
    `forced`: a person vouches that nothing of it runs at the owner any more."""

    ownership: Ownership
    owned: Owned | None
    wanted: WantedMode | None
    targets: Sequence[Target]
    counted: int = 0
    moved_s: float | None = None
    turn: bool = True
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """Take it over now: the transaction compares the lease at `counted`."""

    source: str
    target: str
    counted: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The site is silent and the hub is not moved, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to take over (any more)."""

    reason: str


Verdict = Go | Hold | Nothing


def judge(hub: HubAtRisk, world: World) -> Verdict:
    """The verdict about one hub now."""
    source = hub.ownership.owner
    sight = world.sites.get(source or "")
    if source is None or hub.owned is None or hub.owned.epoch != hub.ownership.epoch:
        return Nothing("nobody owns the hub")
    if sight is None:
        return Nothing(f"{source} has never renewed a lease")
    if hub.counted and sight.counting and sight.revision != hub.counted:
        return Nothing(f"{source} renewed its lease")
    if not world.is_lapsed(sight):
        waited = f"{source} is not silent for {world.takeover_s:g} s yet, as this leader counts"
        return Hold(waited) if hub.counted else Nothing(waited)
    objection = "" if hub.forced else world.frozen or _not_armed(hub, source) or _too_soon(hub)
    if objection:
        return Hold(objection)
    return _choose(hub, world, sight)


def _not_armed(hub: HubAtRisk, source: str) -> str:
    if hub.owned is None or not hub.owned.may_be_taken_over:
        return f"standing, so it may still run at {source}: only an operator can move it"
    wanted = hub.wanted
    if wanted is None or wanted.mode is not Mode.ARMED or wanted.epoch != hub.ownership.epoch:
        why = "; ".join(wanted.reasons) if wanted is not None and wanted.reasons else "nobody has looked at it yet"
        return f"not to be moved now: {why}"
    return ""


def _too_soon(hub: HubAtRisk) -> str:
    if hub.moved_s is not None and hub.moved_s < AGAIN_S:
        return f"it was moved by itself {int(hub.moved_s / 60)} min ago; the next such move is allowed after an hour"
    return ""


def _choose(hub: HubAtRisk, world: World, source: SiteSight) -> Verdict:
    objections = []
    for target in hub.targets:
        objection = target.objection or target_objection(target.site, hub.ownership, source, world)
        if not objection:
            if not hub.turn:
                return Hold(f"{target.site} starts other classes first")
            vouched = ", and a person vouches for its end" if hub.forced else ""
            reason = f"{source.name} was silent for {source.silent_s:.0f} s{vouched}"
            return Go(source.name, target.site, source.revision, reason)
        objections.append(f"{target.site}: {objection}")
    return Hold(f"no site can take it: {'; '.join(objections) or 'no other site is allowed'}")


def target_objection(name: str, ownership: Ownership, owner: SiteSight, world: World) -> str:
    """Why `name` may not take over from the owner, whatever the class; empty: it may. A target must be known to the
    owner and to every earlier owner that has not confirmed that it closed (H5); a deaf or silent site is none (H4)."""
    objection = lease_objection(name, ownership, world)
    if not objection and not world.members.known_in(name, owner.members_ack):
        return f"{owner.name} has not acknowledged it as a member"
    return objection


def lease_objection(name: str, ownership: Ownership, world: World) -> str:
    """Why `name` may not become the owner of a hub whose last owner has given it up; empty: it may."""
    sight = world.sites.get(name)
    if sight is None or not sight.counting:
        return "its lease was not seen yet"
    if sight.silent_s > world.fresh_s:
        return "it is silent itself"
    for earlier in ownership.earlier:
        if earlier.site != name and not world.members.known_in(name, earlier.members_ack):
            return f"{earlier.site}, which has not confirmed that it closed, has not acknowledged it as a member"
    return ""
