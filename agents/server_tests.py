"""Test servers, as the agent sees them: one at a time at its site, only of a hub that it holds, and nothing is left of it.

The coordinator that tests is elsewhere and has a token for a while. The agent counts that itself: whoever does not say that
the test is over, because it died or was cut off, is waited for no longer than the token holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from agents.drivers.base import Phase, SiteDrivers
from agents.lease import SiteLease
from federation.api.v1 import agent_pb2
from federation.model.errors import FederationError, Refused
from federation.model.identity import Epoch
from federation.model.scalars import TESTER
from federation.runtime.clock import Clock

SLACK_S, MOST_S = 60.0, 900.0
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ServerTests:
    """`answer` never raises; `tidy` is called every few seconds."""

    drivers: SiteDrivers
    lease: SiteLease
    clock: Clock
    _hub: str = ""  # in which one is under way
    _until_mono: float = 0.0
    _told: set[str] = field(default_factory=set)

    async def answer(self, ask: agent_pb2.Ask) -> agent_pb2.Answer:
        """Admit the tester, or remove what it left."""
        answer = agent_pb2.Answer(id=ask.id, done=True)
        try:
            if ask.server_test.done:
                await self._end(ask.server_test.hub)
            else:
                answer.ticket.CopyFrom(await self._begin(ask.server_test))
        except FederationError as error:
            answer.error = error.message
        except Exception as error:  # a test must not end the agent, whose classes run
            log.exception("server-tests.defect")
            answer.error = f"a defect of the agent: {error!r}"
        return answer

    async def tidy(self) -> None:
        """Remove what tests left that nobody ended, also those of an earlier agent. Never raises: classes come first."""
        try:
            left = await self.drivers.testers.left()
        except Exception:  # e.g. the volume of homes cannot be read
            log.exception("server-tests.unknown")
            return
        for hub in left:
            if hub == self._under_way():
                continue
            try:
                await self.drivers.testers.dismiss(hub)
                log.info("server-tests.tidied", hub=hub)
                self._told.discard(hub)
            except FederationError as error:
                if hub not in self._told:
                    log.warning("server-tests.left", hub=hub, error=error.message)
                self._told.add(hub)
            except Exception:
                log.exception("server-tests.defect", hub=hub)

    async def _begin(self, order: agent_pb2.ServerTestAsk) -> agent_pb2.ServerTicket:
        self._check_held(order)
        if busy := self._under_way():
            raise Refused(f"a test server of {busy} is under way at this site")
        valid_s = order.limit_s + SLACK_S
        if valid_s > MOST_S:
            raise Refused(
                f"a server of {order.hub} may take {order.limit_s:.0f} s to start: longer than a test may last"
            )
        self._hub, self._until_mono = order.hub, self.clock.mono() + valid_s
        try:
            await self._check_open(order.hub)
            await self.drivers.testers.dismiss(order.hub)  # what an earlier test left would be taken for this one
            token = await self.drivers.testers.admit(order.hub, valid_s)
        except BaseException:
            self._hub = ""
            raise
        return agent_pb2.ServerTicket(user=TESTER, token=token, valid_s=valid_s)

    async def _end(self, hub: str) -> None:
        try:
            await self.drivers.testers.dismiss(hub)
        finally:
            if self._hub == hub:  # what could not be removed now is left to `tidy`, and in the way of nothing else
                self._hub = ""

    async def _check_open(self, hub: str) -> None:
        view = await self.drivers.hubs.observe(hub)
        if view.phase is not Phase.SERVING or view.draining:
            raise Refused(f"{hub} is {view.phase.value}, or lets nobody new in")

    def _under_way(self) -> str:
        return self._hub if self.clock.mono() < self._until_mono else ""

    def _check_held(self, order: agent_pb2.ServerTestAsk) -> None:
        epoch, held = Epoch(era=order.epoch.era, n=order.epoch.n), self.lease.held.get(order.hub)
        if held is None or held.epoch != epoch or self.lease.lapsed(order.hub):
            raise Refused(f"{order.hub} is not held here at epoch {epoch}")
