"""Every coordinator, not only the leader, looks at the classes of other places as a student where it is would: it sees
where the name leads from here, whether the certificate there holds for it, and fetches the login page there.

What it sees goes into the register on change, under a lease of its own: when it falls silent its words vanish, so that
nothing old is shown as true (I9). The leader makes the condition `Reachable` of it (`core.reachable`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from federation.coordinator.naming import hosts_of
from federation.coordinator.probe import Prober, Sight
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
    """`reconcile(hub)` looks once; `keep` is eternal and keeps its words alive, by `lease`; 0: there is none."""

    register: Register
    snapshot: Snapshot
    names: NameDriver
    prober: Prober
    clock: Clock
    coordinator: str
    place: str
    lease: int = 0
    _failures: Counter[str] = field(default_factory=Counter)

    def hubs(self) -> Sequence[str]:
        """Every hub; which of them are looked at is decided when it is their turn."""
        return [keys.tail(entry.key) for entry in self.snapshot.mirror.entries(keys.HUBS)]

    async def keep(self) -> None:
        """Renew the lease. One that is lost took all words with it; they are said again under another one."""
        while True:
            try:
                if not self.lease or await self.register.store.lease_keepalive(self.lease) <= 0:
                    self.lease = await self.register.store.lease_grant(LEASE_S)
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
        host = hosts_of(generation.classroom)[0]
        sight = await self._look(host, hub, site)
        self._failures[hub] = self._failures[hub] + 1 if sight.problem else 0
        known = stored.document if stored is not None and stored.document.site == site else None
        said = word(known.problem if known is not None else None, sight.problem, self._failures[hub])
        if said is not None and self.lease:
            misses = min(self._failures[hub], FIRM)
            wanted = Outlook(
                coordinator=self.coordinator,
                place=self.place,
                hub=hub,
                site=site,
                problem=said,
                fault=sight.fault,
                misses=misses,
                reaches=await self.reached(site, host) if misses == FIRM else (),
                warning=sight.warning,
            )
            if stored is None or stored.document != wanted:
                key = keys.outlook(self.coordinator, hub)
                await self.register.commit(Changes().put(key, wanted, lease=self.lease))
        return look_s

    async def _look(self, host: str, hub: str, site: str) -> Sight:
        """What is wrong and why; nothing: a student here would see the class's login page. In the order in which a browser
        does it, so that what is said is the first thing to mend."""
        try:
            seen = await self.names.seen_from_outside(host)
        except FederationError as error:
            return Sight(Fault.NAME, error.message)
        if seen is None or seen.hub != hub:
            return Sight(Fault.NAME, f"{host} leads to {'another class' if seen is not None else 'nothing'}")
        sight = await self.prober.tls_name(seen.target, host)
        if not sight.problem:
            problem = await self.prober.login_page(seen.target, host)
            sight = Sight(Fault.PAGE, problem, sight.warning) if problem else sight
        if sight.problem and seen.target != self.edge_of(site):
            return Sight(Fault.NAME, sight.problem)
        return sight

    async def reached(self, missed: str, host: str) -> tuple[str, ...]:
        """Edges of other sites that are reached from here with this class's name, so that a place that reaches nothing is
        known as such, and so is a certificate that is no better there."""
        others = [record.name for record in self.snapshot.sites() if record.name not in (missed, self.place)]
        return tuple([name for name in sorted(others) if await self._answers(name, host)])

    async def _answers(self, site: str, host: str) -> bool:
        edge = self.edge_of(site)
        return bool(edge) and await self.prober.answers(edge, host)

    def edge_of(self, site: str) -> str:
        """Where the site says that its edge is; empty: it did not."""
        stored = self.snapshot.site(site)
        return stored.document.edge_address if stored is not None else ""
