"""What the agent tells while the register is at fault: all that it knows of its hubs, for a recovery to decide from.

Journal, permissions and views are read in one go, without a pause in between: what is said was all true at once. Only
the marks of homes are read before: they may be older than the rest, never newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from agents.drivers.base import HomesDriver, HomesMark
from agents.journal import Journal
from agents.lease import SiteLease
from agents.link import Self, wire_epoch
from agents.reconcile import Reconciler
from agents.report import Reporter
from agents.resealing import Resealing
from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.errors import DriverError
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class HoldingsReport:
    """`message()` is put into each renewal while coordinators say that the register is at fault."""

    who: Self
    journal: Journal
    lease: SiteLease
    wanted: WantedHubs
    reconciler: Reconciler
    reporter: Reporter
    clock: Clock
    resealing: Resealing
    homes: HomesDriver

    async def message(self) -> agent_pb2.Holdings:
        """As of now."""
        await self.resealing.look()
        return self._message({hub: await self._mark(hub) for hub in sorted(self._hubs())})

    async def _mark(self, hub: str) -> HomesMark | None:
        try:
            return await self.homes.mark(hub)
        except DriverError as error:
            log.warning("homes.mark-unread", hub=hub, error=error.message)
            return None

    def _message(self, marks: Mapping[str, HomesMark | None]) -> agent_pb2.Holdings:
        record, now_ns = self.journal.record, self.clock.boottime_ns()
        promised_ns = max((p.until_ns for p in self.lease.promises.running()), default=now_ns)
        holdings = agent_pb2.Holdings(
            members_version=record.members_version,
            members=[agent_pb2.Member(site=m.site, uid=m.uid, peer_address=m.peer_address) for m in record.members],
            hubs=[self._hub(hub, marks.get(hub)) for hub in sorted(self._hubs())],
            machine_id=self.who.machine_id,
            sealing_key=self.who.sealing_key,
            version=self.who.version,
            kind=self.who.kind,
            promised_s=(promised_ns - now_ns) / NS,
        )
        if record.register_id is not None:
            holdings.register.CopyFrom(types_pb2.RegisterId(uuid=record.register_id.uuid, era=record.register_id.era))
        self.reporter.describe(holdings)
        return holdings

    def _hubs(self) -> set[str]:
        record = self.journal.record
        journaled = {*record.accepted, *record.floor, *record.released, *self.lease.ended}
        return journaled | self.lease.held.keys() | self.lease.found.keys()

    def _hub(self, hub: str, mark: HomesMark | None) -> agent_pb2.HubHolding:
        known, held, directive = self.lease.known(), self.lease.held.get(hub), self.wanted.hubs.get(hub)
        runs, serving = self.reconciler.seen(hub)
        holding = agent_pb2.HubHolding(
            hub=hub,
            runs=runs,
            serving=serving,
            directive=directive.SerializeToString() if directive is not None else b"",
            boxes=self.resealing.boxes(directive) if directive is not None else (),
        )
        journaled = {
            "accepted": known.accepted.get(hub),
            "floor": known.floor.get(hub),
            "released": known.released.get(hub),
            "ended": known.ended.get(hub),
        }
        for field, epoch in journaled.items():
            if epoch is not None:
                getattr(holding, field).CopyFrom(wire_epoch(epoch))
        if held is not None and not held.lapsed(self.clock.boottime_ns()):
            holding.mode = held.mode.value
            holding.held.CopyFrom(wire_epoch(held.epoch))
        if mark is not None:
            holding.homes.CopyFrom(wire_epoch(mark.epoch))
            if (copy := mark.copy) is not None:
                holding.restored.CopyFrom(agent_pb2.CopyRef(site=copy.site, hub=copy.hub, snapshot=copy.snapshot))
        return holding
