"""Orders the planned moves that a rule asks for: hubs of a drained site, hubs that go home after an outage, and hubs that
other places do not see.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import structlog

from federation.coordinator.move_orders import MoveOrder, MoveOrders
from federation.coordinator.observations import Observations
from federation.coordinator.outside import Outside
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.takeovers import Takeovers
from federation.coordinator.whereabouts import hub_there
from federation.core.relocation import SYSTEM_DRAIN_S, Policy, Relocate, Stay, relocate
from federation.core.unseen import decide, missed_at_all
from federation.model.errors import Conflict, Refused
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import Ownership
from federation.model.status import ConditionType, SiteRecord, Truth
from federation.runtime.clock import Clock
from federation.store import keys

log = structlog.get_logger(__name__)

LOOK_S = 10.0
MOST_AT_ONCE = 2  # moves by rule at the same time
SHOWN_S = 30.0  # after so long an order is in the register's copy here, or was never written


@dataclass(frozen=True, slots=True)
class Ordered:
    """A move that this leader orders, until the register's copy here shows it. `operation` empty: it is being written."""

    unseen: bool
    until_mono: float
    operation: str = ""


@dataclass(slots=True)
class Relocations:
    """`reconcile(hub)`; one per term of leadership: how long a site has been well is counted anew by each leader."""

    snapshot: Snapshot
    orders: MoveOrders
    takeovers: Takeovers
    observations: Observations
    outside: Outside
    clock: Clock
    policy: Policy
    actor: str
    _ordered: dict[str, Ordered] = field(default_factory=dict)
    _well_since_mono: dict[str, float] = field(default_factory=dict)

    async def reconcile(self, hub: str) -> float | None:
        """Order a move of this hub if a rule asks for one and nothing speaks against it now."""
        self._watch_sites()
        stored = self.snapshot.ownership(hub)
        if stored is None:
            return None
        home_well_s = self._well_s(stored.document.home)
        there = hub_there(self.snapshot, self.clock.now(), stored.document, home_well_s)
        if there is None:
            return LOOK_S
        if await self._away_from_sight(stored.document):
            return LOOK_S
        decision = relocate(there, self.policy)
        if isinstance(decision, Relocate):
            await self._order(
                hub, MoveOrder(self.actor, to=decision.to, reason=decision.reason, drain_s=SYSTEM_DRAIN_S, rule=True)
            )
        return LOOK_S

    async def _away_from_sight(self, ownership: Ownership) -> bool:
        """What other places see may be a reason to move, too. One that has not begun is given up when it is seen again."""
        hub, operation = ownership.hub, self.snapshot.operation(ownership.hub)
        unseen = self.outside.look(ownership)
        decision = decide(unseen)
        self.observations.unmoved[hub] = decision.reason if isinstance(decision, Stay) else ""
        if isinstance(decision, Relocate):
            asked = MoveOrder(
                self.actor,
                to=decision.to,
                reason=decision.reason,
                now=not decision.patient,
                drain_s=SYSTEM_DRAIN_S if decision.patient else 0.0,
                unseen=True,
                rule=True,
            )
            await self._order(hub, asked)
            return True
        begins = operation is not None and operation.document.step is Step.ADMITTED and not operation.document.back
        if operation is None or not (operation.document.unseen and begins):
            return False
        if not missed_at_all(unseen, patient=not operation.document.now):
            try:
                await self.orders.cancel(hub, self.actor)
            except (Conflict, Refused) as error:
                log.info("relocation.not_cancelled", hub=hub, error=error.message)
        return False

    async def _order(self, hub: str, asked: MoveOrder) -> None:
        if self._moving(unseen=asked.unseen) >= MOST_AT_ONCE:
            return
        self._ordered[hub] = Ordered(asked.unseen, self.clock.mono() + SHOWN_S)  # others are looked at meanwhile
        try:
            admitted = await self.orders.move(hub, asked)
        except BaseException as error:
            del self._ordered[hub]
            if not isinstance(error, Conflict | Refused):
                raise
            log.info("relocation.not_ordered", hub=hub, error=error.message)
        else:
            self._ordered[hub] = replace(self._ordered[hub], operation=admitted.operation.id)

    def _moving(self, *, unseen: bool) -> int:
        """Classes that nobody sees do not wait for moves that wait for the end of a meeting."""
        running = [s.document for s in self.snapshot.under(keys.OPERATIONS, Operation)]
        now_mono, shown = self.clock.mono(), {operation.id for operation in running}
        self._ordered = {h: o for h, o in self._ordered.items() if o.operation not in shown and now_mono < o.until_mono}
        moves = {o.hub: o.unseen for o in running if o.kind is OperationKind.MOVE and not o.done}
        moves |= {hub: order.unseen for hub, order in self._ordered.items()}
        return sum(1 for is_unseen in moves.values() if is_unseen or not unseen)

    def _watch_sites(self) -> None:
        world, now_mono = self.takeovers.seen_world(), self.clock.mono()
        for site in self.snapshot.sites():
            sight = world.sites.get(site.name) if world is not None else None
            fresh = sight is not None and world is not None and sight.counting and sight.silent_s <= world.fresh_s
            if fresh and _is_fit(site):
                self._well_since_mono.setdefault(site.name, now_mono)
            else:
                self._well_since_mono.pop(site.name, None)

    def _well_s(self, site: str | None) -> float | None:
        since = self._well_since_mono.get(site or "")
        return self.clock.mono() - since if since is not None else None


def _is_fit(site: SiteRecord) -> bool:
    """Its agent reports, its gate and fencer were proven, and nobody has closed it."""
    bad = {ConditionType.READY, ConditionType.FENCED}
    return site.cordon is None and all(c.status is Truth.TRUE for c in site.conditions if c.type in bad)
