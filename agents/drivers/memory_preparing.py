"""The in-memory twin of preparing: a cluster in which charts are there or not, and one that does not come up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents.drivers.preparation import in_order
from federation.model.errors import DriverError
from federation.model.preparation import Action, Objection, PrepareItem, PreparePlan, PrepareStep, StepState

if TYPE_CHECKING:
    from agents.drivers.memory import MemorySite


@dataclass(slots=True)
class BareCluster:
    """`wanted`: charts that the site file asks for, with their versions; `installed`: those that are there. `foreign`:
    somebody else's. `stuck`: does not come up. `dead`: why nobody can look at it. `takes_s`: for each."""

    wanted: dict[str, str] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    stuck: str = ""
    dead: str = ""
    against: tuple[Objection, ...] = ()
    takes_s: float = 0.1


@dataclass(frozen=True, slots=True)
class MemoryPreparing:
    """The PrepareDriver."""

    site: MemorySite

    async def plan(self) -> PreparePlan:
        bare = self.site.bare
        if bare.dead:
            raise DriverError(bare.dead)
        return PreparePlan.of([self._item(*one) for one in bare.wanted.items()], bare.against)

    async def apply(self, plan: PreparePlan) -> AsyncIterator[PrepareStep]:
        async for step in in_order(plan, self._one):
            yield step

    async def close(self) -> None:
        pass

    async def _one(self, item: PrepareItem) -> AsyncIterator[PrepareStep]:
        bare = self.site.bare
        yield PrepareStep(chart=item.chart, state=StepState.BEGUN, message=f"{item.action.value} {item.version}")
        await self.site.clock.sleep(bare.takes_s)
        if item.chart == bare.stuck:
            yield PrepareStep(chart=item.chart, state=StepState.FAILED, message="it does not come up")
            return
        bare.installed[item.chart] = item.version
        yield PrepareStep(chart=item.chart, state=StepState.DONE, seconds=bare.takes_s)

    def _item(self, chart: str, version: str) -> PrepareItem:
        bare = self.site.bare
        now = bare.installed.get(chart, "")
        if chart in bare.foreign:
            action = Action.LEAVE
        elif not now:
            action = Action.INSTALL
        else:
            action = Action.KEEP if now == version else Action.UPGRADE
        reason = "somebody else's" if action is Action.LEAVE else ""
        return PrepareItem(
            chart=chart,
            version=version,
            namespace=chart,
            action=action,
            now=f"{chart}-{now}" if now else "",
            reason=reason,
        )
