"""The loops of one term of leadership, and what they have in common. All are made anew with each term: what an earlier
one remembered is not true any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from federation.coordinator.alarms_loop import AlarmsLoop
from federation.coordinator.copying import CopiesLoop
from federation.coordinator.drills_loop import DrillsLoop
from federation.coordinator.hooks_loop import HooksLoop
from federation.coordinator.moves import PlannedMoves
from federation.coordinator.operations_loop import OperationsLoop
from federation.coordinator.outside import Outside
from federation.coordinator.protection import ProtectionLoop
from federation.coordinator.readiness import Term
from federation.coordinator.relocations import Relocations
from federation.coordinator.reports_loop import ReportsLoop
from federation.coordinator.takeovers import Takeovers
from federation.coordinator.unsent import UnsentLoop
from federation.runtime.loop import Loop, Pace, Reconcile
from federation.store import keys

if TYPE_CHECKING:
    from federation.coordinator.replica import Replica

NAME_LOOK_S = 20.0
BACKOFF_MOST_S = 15.0
PATIENT = frozenset({"protection", "relocations", "alarms", "site-alarms", "names", "hub-reports"})
"""Loops that may lag behind for a moment: they leave the processor to admissions, operations and leases when hundreds of
classes are placed at once."""
FEW, MANY = 3, 16  # keys at the same time
SETTLE_LIMIT_S = 1.0


def make_loops(replica: Replica) -> dict[str, Loop]:
    """Each by its name; `Replica` runs them, and wakes them by it."""
    ports, guard = replica.ports, replica.standing.leader_guard
    takeovers = Takeovers(
        ports.register,
        replica.snapshot,
        replica.planner,
        replica.observations,
        replica.journalist,
        guard,
        replica.identity.profile,
        ports.random,
        replica.actor,
    )
    copies = CopiesLoop(
        ports.register,
        replica.snapshot,
        replica.observations,
        replica.sessions,
        replica.journalist,
        guard,
        ports.random,
        replica.actor,
    )
    replica.readiness.term = Term(copies, takeovers)
    unsent = UnsentLoop(
        ports.register,
        replica.snapshot,
        replica.observations,
        replica.sessions,
        replica.journalist,
        guard,
        ports.random,
        replica.actor,
    )
    protection = ProtectionLoop(
        ports.register,
        replica.snapshot,
        replica.observations,
        replica.planner,
        takeovers,
        copies,
        replica.journalist,
        guard,
        replica.identity.witness,
        replica.actor,
    )
    moves = PlannedMoves(
        ports.register, replica.snapshot, replica.observations, replica.planner, takeovers, copies, ports.clock
    )
    operations = OperationsLoop(
        ports.register,
        replica.snapshot,
        replica.observations,
        replica.planner,
        takeovers,
        copies,
        moves,
        replica.naming,
        ports.prober,
        replica.journalist,
        guard,
        replica.actor,
    )
    reports = ReportsLoop(
        ports.register,
        replica.snapshot,
        replica.observations,
        replica.sightings,
        copies,
        replica.journalist,
        guard,
        ports.names.url_of,
        replica.identity.profile.contact_s,
        replica.actor,
        replica.identity.places,
    )
    alarms = AlarmsLoop(
        ports.register, replica.snapshot, replica.journalist, guard, ports.hooks.alarm_after_s, replica.actor
    )
    hooks = HooksLoop(
        ports.register,
        replica.snapshot,
        replica.journalist,
        guard,
        ports.hooks,
        replica.identity.federation,
        replica.actor,
    )

    drills = DrillsLoop(
        ports.register,
        replica.snapshot,
        replica.planner,
        replica.orders.admission,
        replica.journalist,
        guard,
        replica.identity.profile.takeover_s,
        replica.actor,
    )
    outside = Outside(replica.snapshot, replica.planner, replica.observations, takeovers, ports.clock)
    relocations = Relocations(
        replica.snapshot,
        replica.orders,
        takeovers,
        replica.observations,
        outside,
        ports.clock,
        replica.identity.relocation,
        replica.actor,
    )

    async def settled(reconcile: Reconcile, key: str) -> float | None:
        """Whoever has written looks again only at a copy that shows it: else it would write the same once more, in vain."""
        before = ports.register.written
        delay = await reconcile(key)
        if ports.register.written > before:
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_LIMIT_S):
                    await replica.mirror.reached(ports.register.written)
        return delay

    def loop(name: str, reconcile: Reconcile, list_keys: Callable[[], Iterable[str]], relist_s: float) -> Loop:
        workers = FEW if name in PATIENT else MANY
        pace = Pace(relist_s=relist_s, backoff_most_s=min(BACKOFF_MOST_S, relist_s), workers=workers)
        work = (
            reconcile if name == "leases" else partial(settled, reconcile)
        )  # that one reads the register itself, in time
        return Loop(name, work, list_keys, clock=ports.clock, random=ports.random, pace=pace)

    return {
        "leases": loop("leases", takeovers.look, lambda: (keys.LEASES,), takeovers.look_s),
        "copies": loop("copies", copies.reconcile, reports.hub_keys, 30.0),
        "unsent": loop("unsent", unsent.reconcile, unsent.keys, 5.0),
        "protection": loop("protection", protection.reconcile, reports.hub_keys, 5.0),
        "relocations": loop("relocations", relocations.reconcile, reports.hub_keys, 30.0),
        "drills": loop("drills", drills.reconcile, drills.hubs, 30.0),
        "operations": loop("operations", operations.reconcile, operations.keys, 5.0),
        "hub-reports": loop("hub-reports", reports.reconcile_hub, reports.hub_keys, 30.0),
        "site-reports": loop("site-reports", reports.reconcile_site, reports.site_keys, 5.0),
        "alarms": loop("alarms", alarms.reconcile, reports.hub_keys, 30.0),
        "site-alarms": loop("site-alarms", alarms.reconcile_site, reports.site_keys, 30.0),
        "hooks": loop("hooks", hooks.reconcile, hooks.names, 30.0),
        "names": loop("names", replica.look_at_name, reports.hub_keys, NAME_LOOK_S),
    }
