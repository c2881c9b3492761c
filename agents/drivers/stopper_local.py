"""Ends hubs of a `local` site: SIGKILL to every process of a hub, found by marks, descent and control group.

Uses the same look at /proc and the same marks as the agent. The hub's file says which control groups hold it: the agent
made them below its own group, which need not be the fencer's. Standard library alone.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agents.drivers.local.marks import EDGE, HUB_FILE_NAME, HUBS, site_marks
from agents.drivers.stopper import Running
from federation.core.fencing import Verdict
from federation.model.errors import DriverError
from federation.runtime.cgroups import Group
from federation.runtime.process_table import HUB_MARK, HUB_NAME, Found, ProcessId, ProcessTable, chosen

TICKS = os.sysconf("SC_CLK_TCK")
SECOND_NS = 1_000_000_000
PRESS_NS = 50_000_000


@dataclass(slots=True)
class LocalStopper:
    """The Stopper of one site; `federation` is what its processes carry as HUBFED_DIR."""

    federation: str
    site: str
    state_dir: Path
    table: ProcessTable = field(default_factory=ProcessTable)

    @property
    def press_ns(self) -> int:
        return PRESS_NS

    def trouble(self) -> str:
        return ""

    def look(self, verdict: Verdict) -> Running[ProcessId]:
        groups = {hub: self._groups(hub) for hub in self._names(verdict)}
        members = {hub: {pid for group in held for pid in group.members()} for hub, held in groups.items()}
        everything = self.table.scan()
        names = members.keys() | (self._marked(everything) if verdict.every_hub else set())
        hubs = {hub: _ids(chosen(everything, self._marks(HUB=hub), members.get(hub, set()))) for hub in names}
        edge: tuple[ProcessId, ...] = ()
        if verdict.edge_before is not None:
            found = _ids(chosen(everything, self._marks(ROLE=EDGE), set()))
            edge = tuple(who for who in found if who.started * SECOND_NS // TICKS <= verdict.edge_before)
        return Running({hub: ids for hub, ids in hubs.items() if ids}, edge)

    def kill(self, hub: str, seen: Sequence[ProcessId]) -> None:
        for who in seen:
            with suppress(DriverError):  # not ours to end: it is seen again, and said
                self.table.signal(who, signal.SIGKILL)
        for group in self._groups(hub) if hub else ():
            group.kill()

    def _names(self, verdict: Verdict) -> set[str]:
        if not verdict.every_hub:
            return set(verdict.hubs)
        try:
            return set(os.listdir(self.state_dir / HUBS))  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return set()

    def _marked(self, everything: Mapping[int, Found]) -> set[str]:
        ours = chosen(everything, self._marks(), set(), descendants=False)
        return {found.marks[HUB_MARK] for found in ours if HUB_MARK in found.marks}

    def _groups(self, hub: str) -> tuple[Group, ...]:
        """Those of the hub's file; a hub without a readable one is found by its marks."""
        if not HUB_NAME.fullmatch(hub):
            return ()
        try:
            body = json.loads((self.state_dir / HUBS / hub / HUB_FILE_NAME).read_bytes())
            paths = [Path(path) for path in body.get("groups", ()) if Path(path).name == hub]
        except (OSError, ValueError, TypeError, AttributeError):
            return ()
        return tuple(Group(path, None, None, (path,)) for path in paths)

    def _marks(self, **more: str) -> dict[str, str]:
        return site_marks(self.federation, self.site, **more)


def _ids(found: Sequence[Found]) -> tuple[ProcessId, ...]:
    return tuple(one.id for one in found)
