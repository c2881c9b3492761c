"""What a site does to be prepared: it says what is to be done, and does exactly that (`fedctl sites prepare`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from federation.model.errors import Refused
from federation.model.preparation import Objection, PrepareItem, PreparePlan, PrepareStep, StepState


class PrepareDriver(Protocol):
    """One call at a time: whoever calls sees to that. A plan changes nothing."""

    async def plan(self) -> PreparePlan:
        """Look at the cluster and the folder of charts. DriverError if they cannot be looked at."""
        ...

    def apply(self, plan: PreparePlan) -> AsyncIterator[PrepareStep]:
        """Do what the newest `plan` said, item by item, and wait for each; ends with the first that fails. It may be cut
        off at any point, and done again: what is there by then is gone on from."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


@dataclass(frozen=True, slots=True)
class NothingToPrepare:
    """Of a site without a cluster."""

    site: str

    async def plan(self) -> PreparePlan:
        wrong = f"site {self.site} has no cluster"
        return PreparePlan.of(objections=[Objection(at="spec.kind", wrong=wrong, todo="There is nothing to prepare.")])

    async def apply(self, plan: PreparePlan) -> AsyncIterator[PrepareStep]:
        raise Refused(f"site {self.site} has no cluster, and a plan of {len(plan.items)} charts is not its own")
        yield

    async def close(self) -> None:
        pass


async def in_order(
    plan: PreparePlan, one: Callable[[PrepareItem], AsyncIterator[PrepareStep]]
) -> AsyncIterator[PrepareStep]:
    """The steps of every item that changes something, told by `one`. After one that failed the others are left alone: they
    are in this order because they need each other."""
    failed = False
    for item in plan.items:
        if not item.changes:
            continue
        if failed:
            yield PrepareStep(chart=item.chart, state=StepState.SKIPPED, message="one before it failed")
            continue
        async for step in one(item):
            failed = step.state is StepState.FAILED
            yield step
