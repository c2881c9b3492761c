"""Which hubs must not run here, from the lease file's content and the clock alone (PROTOCOL.md section 4, H13, H15).

Says what must not run; ending it is the business of the site's kind. Standing hubs are never condemned, and neither is
what no accepted file ever named, with one exception: with nothing in memory and nothing readable, no hub may run.
Standard library alone; times are CLOCK_BOOTTIME ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from federation.core.lease_file import LeaseFile, Pair, Permit, read_lease

NOTHING_YET: Pair = (-1, -1)
NO_EPOCH: Pair = (0, 0)
START_GRACE_NS = 2_000_000_000
"""With no file and nothing in memory: how long an agent that is just writing one has. Only a fencer that was restarted
while the file was lost comes here with hubs running; after a boot none runs."""


def canary_of(site: str) -> str:
    """The hub name under which a site proves its gate and its fencer; never granted, and no class's hub (H13)."""
    return f"canary-{site}"


class Reading(Enum):
    """What became of a look at the file."""

    ACCEPTED = "accepted"
    MISSING = "there is no file"
    UNREADABLE = "it is not a whole lease file"
    OTHER_BOOT = "it is of another boot"
    OLDER = "it is older than what was read before"
    TOO_FAR = "a deadline lies farther ahead than any lease of this profile can"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What must not run now."""

    hubs: Mapping[str, Pair] = field(default_factory=dict)  # hub -> epoch at which it was permitted last
    every_hub: bool = False  # nothing is known: all that runs
    edge_before: int | None = None  # also an edge that was started before this moment

    @property
    def condemns(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.hubs) or self.every_hub or self.edge_before is not None


class Fence:
    """Remembers the newest accepted content. `longest_ns` is (D + F)(1 + rho): no honest deadline is farther ahead.
    `least`: what a fencer of this boot took before; an older file that somebody has put back since is not believed."""

    def __init__(
        self, boot_id: str, longest_ns: int, started_ns: int, *, canary: str = "", least: Pair = NOTHING_YET
    ) -> None:
        self._boot_id = boot_id
        self._longest_ns = longest_ns
        self._judged_from_ns = started_ns + START_GRACE_NS
        self._canary = canary
        self._listed: Mapping[str, Permit] | None = None
        self._parted: dict[str, Permit] = {}  # armed hubs that left the file: stopped by the agent, or by us in time
        self._refused = False
        self.order = NOTHING_YET
        self._least = least

    @property
    def newest(self) -> Pair:
        """The order below which no file is believed."""
        return max(self.order, self._least)

    def take(self, content: bytes | None, now_ns: int) -> Reading:
        """Look at the file's content (None: there is none); what is not accepted changes nothing."""
        if content is None:
            return Reading.MISSING
        try:
            file = read_lease(content)
        except ValueError:
            return Reading.UNREADABLE
        if file.boot_id != self._boot_id:
            return Reading.OTHER_BOOT
        if file.order < self.newest:
            return Reading.OLDER
        if not all(_complete(permit) for permit in file.permits.values()):
            return Reading.UNREADABLE
        if any(_last(permit) > now_ns + self._longest_ns for permit in file.permits.values()):
            # Most likely two profiles. It is never acknowledged, so nothing in it gets armed, and nothing needs a fence.
            self._refused = True
            return Reading.TOO_FAR
        self._accept(file)
        return Reading.ACCEPTED

    def verdict(self, now_ns: int) -> Verdict:
        """What must not run now."""
        if self._listed is None:
            return Verdict(every_hub=not self._refused and now_ns >= self._judged_from_ns)
        known = {**self._parted, **self._listed}
        hubs = {hub: permit.epoch for hub, permit in known.items() if _lapsed(permit, now_ns)}
        return Verdict(hubs, edge_before=self._edge_before(now_ns))

    @property
    def armed(self) -> frozenset[str]:
        """Every hub that has a deadline, or had one when it left the file; the canary is none."""
        known = {**self._parted, **(self._listed or {})}
        return frozenset(hub for hub, one in known.items() if one.stop_by is not None and hub != self._canary)

    def has_parted(self, hub: str) -> bool:
        """Whether the hub is remembered only because it was armed when it left the file."""
        return hub in self._parted

    def forget(self, hub: str) -> None:
        """A hub that left the file and is long gone needs no more looking for."""
        self._parted.pop(hub, None)

    def _accept(self, file: LeaseFile) -> None:
        for hub, permit in (self._listed or {}).items():
            if permit.stop_by is not None and hub not in file.permits and hub != self._canary:
                self._parted[hub] = permit
        for hub in file.permits:
            self._parted.pop(hub, None)
        self.order, self._listed = file.order, file.permits

    def _edge_before(self, now_ns: int) -> int | None:
        """The edge closes lapsed hubs by itself; it is ended where nothing is left that it could serve, as one that hangs
        would not have closed. One that was started since has read the file and is closed."""
        permits = [permit for hub, permit in (self._listed or {}).items() if hub != self._canary]
        if not permits or not all(_lapsed(permit, now_ns) for permit in permits):
            return None
        return max(_last(permit) for permit in permits)


def _complete(permit: Permit) -> bool:
    if permit.close_at is None or permit.stop_by is None:
        return permit.close_at is permit.stop_by
    return permit.close_at <= permit.stop_by


def _last(permit: Permit) -> int:
    return permit.stop_by or 0


def _lapsed(permit: Permit, now_ns: int) -> bool:
    return permit.stop_by is not None and now_ns >= permit.stop_by
