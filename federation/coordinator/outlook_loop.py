"""Every coordinator, not only the leader, looks at the classes of other places as a student where it is would: it sees
where the name leads from here, and fetches the login page there.

What it sees goes into the register on change, under a lease of its own: when it falls silent its words vanish, so that
nothing old is shown as true (I9). The leader makes the condition `Reachable` of it (`core.reachable`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from federation.coordinator.naming import hosts_of
from federation.coordinator.probe import Prober
from federation.coordinator.snapshot import Snapshot
from federation.core.reachable import word
from federation.dns.interface import NameDriver
from federation.model.errors import FederationError
from federation.model.outlook import FIRM, Fault, Outlook
from federation.model.status import HubPhase
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.register import Changes, Register

log = structlog.get_logger(__name__)

LOOK_S = 10.0
A_SECOND = 20.0  # looks, however many classes there are: then each is looked at less often
LEASE_S, KEEP_S = 45.0, 12.0


@dataclass(slots=True)
class OutlookLoop:
    """`reconcile(hub)` looks once; `keep` is eternal and keeps its words alive."""

    register: Register
    snapshot: Snapshot
    names: NameDriver
    prober: Prober
    clock: Clock
    coordinator: str
    place: str
    _lease: int = 0
    _failures: Counter[str] = field(default_factory=Counter)

    def hubs(self) -> Sequence[str]:
        """Every hub; which of them are looked at is decided when it is their turn."""
        return [keys.tail(entry.key) for entry in self.snapshot.mirror.entries(keys.HUBS)]

    async def keep(self) -> None:
        """Renew the lease. One that is lost took all words with it; they are said again under another one."""
        while True:
            try:
                if not self._lease or await self.register.store.lease_keepalive(self._lease) <= 0:
                    self._lease = await self.register.store.lease_grant(LEASE_S)
            except FederationError as error:
                log.info("outlook.not-kept", error=error.message)
            await self.clock.sleep(KEEP_S)

    async def reconcile(self, hub: str) -> float | None:
        """Look at a class that serves at another place; one that does not is not spoken of."""
        observed, generation = self.snapshot.observation(hub), self.snapshot.in_force(hub)
        stored = self.snapshot.get(keys.outlook(self.coordinator, hub), Outlook)
        look_s = max(LOOK_S, len(self.hubs()) / A_SECOND)
        serves = observed is not None and observed.document.phase is HubPhase.SERVING
        if observed is None or generation is None or not serves or observed.document.site in (self.place, ""):
            self._failures.pop(hub, None)
            if stored is not None:
                await self.register.commit(Changes().delete(stored.key))
            return look_s
        site = observed.document.site
        fault, problem = await self._look(hosts_of(generation.classroom)[0], hub, site)
        self._failures[hub] = self._failures[hub] + 1 if problem else 0
        known = stored.document if stored is not None and stored.document.site == site else None
        said = word(known.problem if known is not None else None, problem, self._failures[hub])
        if said is not None and self._lease:
            misses = min(self._failures[hub], FIRM)
            wanted = Outlook(
                coordinator=self.coordinator,
                place=self.place,
                hub=hub,
                site=site,
                problem=said,
                fault=fault,
                misses=misses,
                reaches=await self._reached(site) if misses == FIRM else (),
            )
            if stored is None or stored.document != wanted:
                key = keys.outlook(self.coordinator, hub)
                await self.register.commit(Changes().put(key, wanted, lease=self._lease))
        return look_s

    async def _look(self, host: str, hub: str, site: str) -> tuple[Fault, str]:
        """What is wrong and why; empty: a student here would see the class's login page."""
        try:
            seen = await self.names.seen_from_outside(host)
        except FederationError as error:
            return Fault.NAME, error.message
        if seen is None or seen.hub != hub:
            return Fault.NAME, f"{host} leads to {'another class' if seen is not None else 'nothing'}"
        problem = await self.prober.login_page(seen.target, host)
        if not problem:
            return Fault.NONE, ""
        return (Fault.PAGE if seen.target == self._edge_of(site) else Fault.NAME), problem

    async def _reached(self, missed: str) -> tuple[str, ...]:
        """Edges of other sites that are reached from here, so that a place that reaches nothing is known as such."""
        others = [record.name for record in self.snapshot.sites() if record.name not in (missed, self.place)]
        return tuple([name for name in sorted(others) if await self._answers(name)])

    async def _answers(self, site: str) -> bool:
        edge = self._edge_of(site)
        return bool(edge) and await self.prober.answers(edge)

    def _edge_of(self, site: str) -> str:
        stored = self.snapshot.site(site)
        return stored.document.edge_address if stored is not None else ""
