"""Every coordinator, at a low rate, starts a test server in the classes of other places, and says what became of it.

It asks the leader for a ticket, goes where the class's name leads from here, and starts the reserved user's server as a
student's browser would; then the class's site removes it. What it says goes into the register under the lease of its other
words, and follows the same rules (`outlook_loop`). A test that could not be made says nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import structlog

from federation.api.v1 import control_pb2
from federation.coordinator.naming import hosts_of
from federation.coordinator.outlook_loop import OutlookLoop
from federation.coordinator.server_probe import Ticket, Tried
from federation.coordinator.standing import STALE_S
from federation.core.server_tests import misses_after, next_s
from federation.model.errors import FederationError
from federation.model.outlook import FIRM, Fault, Trial
from federation.model.status import HubPhase
from federation.store import keys
from federation.store.register import Changes

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 60.0  # one that was refused: the site tests another class, or this one meets
Ask = Callable[[control_pb2.ServerTestRequest], Awaitable[control_pb2.ServerTestResponse]]


@dataclass(slots=True)
class TrialsLoop:
    """`reconcile(hub)` tests once, when it is due. `outlook` has the lease and the ports; `ask` is the leader."""

    outlook: OutlookLoop
    ask: Ask
    every_s: float
    random: Random
    _due_mono: dict[str, float] = field(default_factory=dict)

    def hubs(self) -> Sequence[str]:
        """Every hub; which of them are tested is decided when it is their turn."""
        return self.outlook.hubs()

    async def reconcile(self, hub: str) -> float | None:
        """One test, or how long until the next. The first comes at random, so that classes have their turns."""
        here, now_mono = self.outlook, self.outlook.clock.mono()
        due_mono = self._due_mono.setdefault(hub, now_mono + self.every_s * self.random.random())
        if now_mono < due_mono:
            return due_mono - now_mono
        stored = here.snapshot.get(keys.trial(here.coordinator, hub), Trial)
        site = self._site(hub)
        if not site or not here.lease:
            if stored is not None and not site:
                await here.register.commit(Changes().delete(stored.key))
            return self._again(hub, min(ASK_AGAIN_S, self.every_s))
        known = stored.document if stored is not None and stored.document.site == site else None
        if here.snapshot.mirror.age_s() > STALE_S:  # what is known here is old, and nothing could be said of a test
            return self._again(hub, min(ASK_AGAIN_S, self.every_s))
        generation, before = self._generation(hub), self._state(hub)
        self._again(hub, min(ASK_AGAIN_S, self.every_s))  # whatever comes of it
        tried = await self._test(hub, site)
        if tried.untested or self._state(hub) != before:  # e.g. it was stopped under the test
            log.info("trial.not-made", hub=hub, why=tried.untested or "the class has changed meanwhile")
            return self._again(hub, min(ASK_AGAIN_S, self.every_s))
        misses = misses_after(known.misses if known is not None else 0, tried.problem)
        trial = Trial(
            coordinator=here.coordinator,
            place=here.place,
            hub=hub,
            site=site,
            problem=tried.problem,
            fault=Fault.SERVER if tried.problem else Fault.NONE,
            misses=misses,
            reaches=await here.reached(site, self._host(hub)) if misses == FIRM else (),
            at=here.clock.now(),
            passed=(known.passed if known is not None else 0) if tried.problem else generation,
        )
        await here.register.commit(Changes().put(keys.trial(here.coordinator, hub), trial, lease=here.lease))
        return self._again(hub, next_s(self.every_s, misses, len(self.hubs())))

    def _again(self, hub: str, seconds: float) -> float:
        self._due_mono[hub] = self.outlook.clock.mono() + seconds
        return seconds

    async def _test(self, hub: str, site: str) -> Tried:
        host = self._host(hub)
        try:
            seen = await self.outlook.names.seen_from_outside(host)
            if seen is None or seen.hub != hub or seen.target != self.outlook.edge_of(site):
                return Tried(untested=f"{host} does not lead to {site}")
            given = await self.ask(control_pb2.ServerTestRequest(hub=hub))
        except FederationError as error:
            return Tried(untested=error.message)
        try:
            return await self.outlook.prober.server(seen.target, host, Ticket(given.user, given.token, given.limit_s))
        finally:
            await self._end(hub)

    async def _end(self, hub: str) -> None:
        """The site does so by itself when the ticket has ended; this only frees it sooner."""
        try:
            await self.ask(control_pb2.ServerTestRequest(hub=hub, done=True))
        except FederationError as error:
            log.info("trial.not-ended", hub=hub, error=error.message)

    def _site(self, hub: str) -> str:
        """Where the class serves, if that is at another place; else empty."""
        observed = self.outlook.snapshot.observation(hub)
        serves = observed is not None and observed.document.phase is HubPhase.SERVING
        site = observed.document.site if observed is not None and serves else ""
        return site if site != self.outlook.place else ""

    def _state(self, hub: str) -> tuple[object, ...]:
        operation = self.outlook.snapshot.operation(hub)
        step = (operation.document.id, operation.document.step) if operation is not None else ()
        return self._site(hub), self._generation(hub), step

    def _generation(self, hub: str) -> int:
        generation = self.outlook.snapshot.in_force(hub)
        return generation.number if generation is not None else 0

    def _host(self, hub: str) -> str:
        generation = self.outlook.snapshot.in_force(hub)
        return hosts_of(generation.classroom)[0] if generation is not None else ""
