"""Proves gate and fencer on something that is no class, before anything relies on them (DESIGN.md 4.2, PROTOCOL.md H13).

One proof: a canary gets a route in the edge's table, as a hub would, and an entry in the lease file with a short
deadline. A request must be refused without the entry, pass with it, and be refused after the deadline. The agent then
does nothing, so that only the fencer can end the canary, and it must within W. A failed proof, or none for too long,
means that nothing may be armed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from agents.drivers.edges import CanaryDriver, Passage, Route
from federation.core.fencing import canary_of
from federation.model.errors import FederationError
from federation.model.identity import Epoch
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

HOST = "canary.hubfed.invalid"  # nobody can have this name (RFC 2606)
EPOCH = Epoch(era=1, n=1)
EVERY_S = 3600.0
RETRY_S = 60.0
FIRST_RETRY_S = 5.0  # of an agent that has never had a proof: nothing can be armed before it has
EDGE_S = 10.0  # an agent that has just started may have no edge yet
STALE_S = EVERY_S + 5 * RETRY_S  # a proof under way, or one retried, is not missing
OPEN_S, GONE_S = 2.0, 1.0  # the canary is open for so long, and to be gone so much later
LOOK_S = 0.05
NS = 1_000_000_000

NO_FENCER = "no fencer answers"

Entry = Mapping[str, Mapping[str, object]]


class SetEntry(Protocol):
    """Writes the canary's entry {hub: {"epoch", "close_at", "stop_by"}} into the lease file, or takes it out (None)."""

    def __call__(self, entry: Entry | None, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Proof:
    """How one proof went; `at_mono` in the agent's monotonic seconds."""

    ok: bool
    reason: str  # empty if ok
    at_mono: float


class NotProvenError(Exception):
    """The reason, in words."""


class Canary:
    """`run` is eternal; `verdict` is for whoever decides about arming. `fencer_s` is W. The first proof needs an edge, and
    a lease file whose incarnation is already this agent's: start it after the hello. `fencer_answers`: nothing is started
    that nobody would end."""

    def __init__(
        self,
        site: str,
        driver: CanaryDriver,
        set_entry: SetEntry,
        set_route: Callable[[Route | None], Awaitable[None]],
        clock: Clock,
        *,
        fencer_s: float,
        fencer_answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self.hub = canary_of(site)
        self._driver = driver
        self._set_entry = set_entry
        self._set_route = set_route
        self._clock = clock
        self._fencer_s = fencer_s
        self._fencer_answers = fencer_answers
        self.newest: Proof | None = None

    async def run(self) -> None:
        """Prove now and every hour; after a failure again in a minute, sooner if nothing was ever proven. Eternal."""
        retry_s = FIRST_RETRY_S
        while True:
            proof = await self.prove()
            retry_s = RETRY_S if proof.ok else retry_s
            await self._clock.sleep(EVERY_S if proof.ok else retry_s)

    def verdict(self) -> tuple[bool, str]:
        """Whether gate and fencer may be relied on now, and why, as a sentence for people."""
        if self.newest is None:
            return False, "gate and fencer were not proven yet"
        age_s = self._clock.mono() - self.newest.at_mono
        if not self.newest.ok:
            return False, f"gate and fencer failed their proof {_ago(age_s)}: {self.newest.reason}"
        if age_s > STALE_S:
            return False, f"gate and fencer were last proven {_ago(age_s)}, which is too long"
        return True, f"gate and fencer proven {_ago(age_s)}"

    def unproven(self) -> str:
        """Why nothing may rely on gate and fencer now; empty: they were proven."""
        proven, reason = self.verdict()
        return "" if proven else reason

    async def prove(self) -> Proof:
        """One proof, from start to clean-up; a few seconds. It raises nothing: what goes wrong is its reason."""
        reason = "" if await self._has_fencer() else NO_FENCER
        if not reason:
            try:
                await self._prove()
            except NotProvenError as error:
                reason = str(error)
            except FederationError as error:
                reason = error.message
            finally:
                await self._clear()
        again = self.newest is not None and self.newest.reason == reason
        self.newest = Proof(not reason, reason, self._clock.mono())
        if not reason:
            log.info("canary.proven")
        elif not again:
            log.error("canary.failed", reason=reason)
        return self.newest

    async def _prove(self) -> None:
        target = await self._driver.start(self.hub)
        await self._set_route(Route(self.hub, EPOCH, (HOST,), target))
        await self._is_closed()
        close_at = self._clock.boottime_ns() + int(OPEN_S * NS)
        stop_by = close_at + int(GONE_S * NS)
        entry = {"epoch": [EPOCH.era, EPOCH.n], "close_at": close_at, "stop_by": stop_by}
        self._set_entry({self.hub: entry})
        await self._passes(close_at)
        await self._sleep_until(close_at)
        answer = await self._driver.ask(HOST)
        if answer is not Passage.REFUSED:
            raise NotProvenError(f"after its deadline the gate did not refuse a request: {answer.value}")
        if not await self._driver.alive(self.hub) and self._clock.boottime_ns() < stop_by:
            raise NotProvenError("the canary ended before its deadline, so the fencer was not proven")
        await self._is_ended(stop_by)

    async def _has_fencer(self) -> bool:
        """One that is still starting is waited for."""
        until_mono = self._clock.mono() + EDGE_S
        while not self._fencer_answers():
            if self._clock.mono() > until_mono:
                return False
            await self._clock.sleep(LOOK_S)
        return True

    async def _is_closed(self) -> None:
        """Without an entry nobody passes. An edge that is still starting is waited for."""
        until_mono = self._clock.mono() + EDGE_S
        while (answer := await self._driver.ask(HOST)) is Passage.SILENT:
            if self._clock.mono() > until_mono:
                raise NotProvenError(f"the gate was not there: the edge did not answer within {EDGE_S:g} s")
            await self._clock.sleep(LOOK_S)
        if answer is Passage.PASSED:
            raise NotProvenError("the gate let a request through that nothing permitted")

    async def _passes(self, close_at: int) -> None:
        answer = Passage.SILENT
        while self._clock.boottime_ns() < close_at:
            answer = await self._driver.ask(HOST)
            if answer is Passage.PASSED:
                return
            await self._clock.sleep(LOOK_S)
        raise NotProvenError(f"the gate let nobody through while it was to be open: {answer.value}")

    async def _is_ended(self, stop_by: int) -> None:
        await self._sleep_until(stop_by)
        limit_ns = stop_by + int(self._fencer_s * NS)
        while await self._driver.alive(self.hub):
            if self._clock.boottime_ns() > limit_ns:
                raise NotProvenError(f"the fencer did not end the canary within {self._fencer_s:g} s")
            await self._clock.sleep(LOOK_S)

    async def _sleep_until(self, at_ns: int) -> None:
        while (left := at_ns - self._clock.boottime_ns()) > 0:
            await self._clock.sleep(left / NS + 0.001)

    async def _clear(self) -> None:
        """Leave nothing behind; what cannot be taken away has lapsed and opens nothing."""
        try:
            self._set_entry(None)
            await self._set_route(None)
            await self._driver.stop(self.hub)
        except FederationError as error:
            log.warning("canary.left", error=error.message)


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s ago" if seconds < 2 * RETRY_S else f"{seconds / 60:.0f} min ago"
