"""What the leader wants of this site: collected from the parts of a session, kept on disk, read again after a restart.

Sites keep their last accepted wanted documents (I7): with no coordinator in reach, an agent that restarts still knows
how to mend the hubs that it holds. A directive permits nothing; `agents.lease` says what may run. Nor does its absence
end anything: of a hub that is held and not named any more (a register that has lost it, PROTOCOL.md H6) the last one is
kept, or its users would be let in nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

import structlog

from federation.api.v1 import agent_pb2
from federation.model.errors import Unavailable
from federation.runtime.disk import Disk

log = structlog.get_logger(__name__)


class WantedHubs:
    """The newest complete set of directives, by hub uid. Those of a leader that was replaced are not taken: thawed, it may
    still order the stop of a class whose move was given up since (PROTOCOL.md H14 b)."""

    def __init__(self, path: Path, disk: Disk, held: Callable[[], Container[str]] = lambda: ()) -> None:
        self._path = path
        self._disk = disk
        self._held = held
        self._unnamed: set[str] = set()  # held, and kept although the leader names them no more
        self.hubs: dict[str, agent_pb2.WantedHub] = {}
        self.revision = 0
        self._leader = agent_pb2.Wanted()  # register and epoch of the newest leader that was heard
        self._parts: dict[str, agent_pb2.WantedHub] | None = None
        self._load()

    def session_began(self) -> None:
        """The next parts, up to the first complete one, carry everything."""
        self._parts = {}

    def take(self, part: agent_pb2.Wanted) -> set[str]:
        """Take a part; returns the hubs whose directives changed (none before the first complete part)."""
        if part.register == self._leader.register and part.leader_epoch < self._leader.leader_epoch:
            log.warning("wanted.of_an_older_leader", epoch=part.leader_epoch, newest=self._leader.leader_epoch)
            return set()
        if part.register.era < self._leader.register.era:
            log.warning("wanted.of_an_older_era", era=part.register.era, newest=self._leader.register.era)
            return set()
        self._leader = agent_pb2.Wanted(register=part.register, leader_epoch=part.leader_epoch)
        named = {hub: directive for hub, directive in self.hubs.items() if hub not in self._unnamed}
        target = named if self._parts is None else self._parts
        target.update((hub.hub, self._newer(hub)) for hub in part.hubs)
        for hub in part.gone:
            target.pop(hub, None)
        if not part.complete:
            if self._parts is None:
                self._replace(self._with_held(target), part.revision)
            return set()
        target = self._with_held(target)
        changed = {hub for hub in target.keys() | self.hubs.keys() if target.get(hub) != self.hubs.get(hub)}
        self._parts = None
        self._replace(target, part.revision)
        return changed

    def _with_held(self, named: dict[str, agent_pb2.WantedHub]) -> dict[str, agent_pb2.WantedHub]:
        held = self._held()
        kept = {hub: directive for hub, directive in self.hubs.items() if hub not in named and hub in held}
        if kept.keys() - self._unnamed:
            log.warning("wanted.not_named", hubs=sorted(kept))
        self._unnamed = set(kept)
        return {**named, **kept}

    def _newer(self, hub: agent_pb2.WantedHub) -> agent_pb2.WantedHub:
        """A leader that has just been elected may look at an old copy: at one epoch, generations only rise."""
        known = self.hubs.get(hub.hub)
        older = known is not None and known.epoch == hub.epoch and known.generation > hub.generation > 0
        return known if older and known is not None else hub

    def _replace(self, hubs: dict[str, agent_pb2.WantedHub], revision: int) -> None:
        if hubs != self.hubs:
            whole = agent_pb2.Wanted(revision=revision, hubs=[hubs[name] for name in sorted(hubs)], complete=True)
            whole.MergeFrom(self._leader)
            try:
                self._disk.replace(self._path, whole.SerializeToString())
            except Unavailable as error:
                # Directives only order work: acting on one that is not on disk loses nothing but the memory of it.
                log.warning("wanted.not-saved", error=error.message)
        self.hubs = hubs
        self.revision = revision

    def _load(self) -> None:
        content = self._disk.read(self._path)
        if content is None:
            return
        try:
            whole = agent_pb2.Wanted.FromString(content)
        except ValueError as error:  # protobuf's DecodeError; the leader sends everything again
            log.warning("wanted.unreadable", path=str(self._path), error=str(error))
            return
        self.hubs = {hub.hub: hub for hub in whole.hubs}
        self.revision = whole.revision
        self._leader = agent_pb2.Wanted(register=whole.register, leader_epoch=whole.leader_epoch)
