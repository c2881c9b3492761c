"""Preparing the site's cluster, as an admin ordered it: one plan at a time, carried out whether somebody listens or not.

Whoever orders it sees each step as it is made; whoever leaves stops nothing, and finds it again by asking for that plan.
An agent that ends ends it, too: the next plan goes on from what is there by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog

from agents.drivers.preparation import PrepareDriver
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.errors import FederationError, Refused
from federation.model.preparation import PreparePlan, PrepareStep, StepState
from federation.runtime.bridge import to_message
from federation.runtime.supervisor import Supervisor

SIGN_OF_LIFE_S = 10.0
log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Run:
    """One plan while it is carried out."""

    plan: PreparePlan
    steps: list[PrepareStep] = field(default_factory=list)
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, *steps: PrepareStep) -> None:
        self.steps += steps
        self.news.set()
        self.news = asyncio.Event()

    async def watched(self) -> AsyncIterator[PrepareStep]:
        """All steps from the first on, and the last one again where nothing has come for a while, until it is over."""
        shown = 0
        while True:
            news = self.news
            for step in self.steps[shown:]:
                yield step
            shown = len(self.steps)
            if self.over:
                return
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await news.wait()
            except TimeoutError:
                shown = max(0, shown - 1)


@dataclass(slots=True)
class Preparing:
    """`answers` never raises, but when it is cancelled."""

    driver: PrepareDriver
    tasks: Supervisor
    _run: _Run | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answers(self, ask: agent_pb2.Ask) -> AsyncIterator[agent_pb2.Answer]:
        """A plan; or steps, until what was ordered is over."""
        try:
            if not ask.prepare.apply:
                yield self._plan(ask, await self._planned())
                return
            run = await self._begun(ask.prepare.fingerprint)
            if isinstance(run, PreparePlan):
                yield self._plan(ask, run)
                return
            async for step in run.watched():
                yield agent_pb2.Answer(id=ask.id, step=to_message(step, types_pb2.PrepareStep))
            yield agent_pb2.Answer(id=ask.id, done=True)
        except FederationError as error:
            yield agent_pb2.Answer(id=ask.id, error=error.message, done=True)
        except Exception as error:  # preparing must not end the agent, whose classes run
            log.exception("prepare.defect")
            yield agent_pb2.Answer(id=ask.id, error=f"a defect of the agent: {error!r}", done=True)

    async def _planned(self) -> PreparePlan:
        if self._run is not None:
            return self._run.plan
        async with self._turn:
            return await self.driver.plan()

    async def _begun(self, fingerprint: str) -> _Run | PreparePlan:
        """What carries this plan out; or the plan that would be right now, and nothing was begun."""
        async with self._turn:
            run = self._run
            if run is not None:
                if run.plan.fingerprint != fingerprint:
                    raise Refused("another plan is being carried out: ask again when it is over")
                return run
            plan = await self.driver.plan()
            if plan.fingerprint != fingerprint or plan.objections:
                return plan
            run = self._run = _Run(plan.revise(under_way=True))
            self.tasks.start("prepare", self._carry_out(run), eternal=False)
            return run

    async def _carry_out(self, run: _Run) -> None:
        log.info("prepare.begun", charts=[item.chart for item in run.plan.items if item.changes])
        try:
            async for step in self.driver.apply(run.plan):
                log.info("prepare.step", chart=step.chart, state=step.state.value, message=step.message)
                run.tell(step)
        except FederationError as error:
            run.tell(PrepareStep(chart="", state=StepState.FAILED, message=error.message))
        except Exception as error:  # the same as above
            log.exception("prepare.defect")
            run.tell(PrepareStep(chart="", state=StepState.FAILED, message=f"a defect of the agent: {error!r}"))
        finally:
            run.over, self._run = True, None
            run.tell()

    @staticmethod
    def _plan(ask: agent_pb2.Ask, plan: PreparePlan) -> agent_pb2.Answer:
        return agent_pb2.Answer(id=ask.id, plan=to_message(plan, types_pb2.PreparePlan), done=True)
