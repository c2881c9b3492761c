"""Prepares a cluster as `spec.prepare` of the site file wants: looks, decides by one pure call, installs by Helm, waits.

Whatever of it is cut off is gone on with by the next plan: what is there says how far it came, nothing else remembers it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.installed import definitions_in, unready
from agents.drivers.kubernetes.marks import PREPARED
from agents.drivers.kubernetes.preparing_look import Look, archive_of
from agents.drivers.kubernetes.releases import Releases
from agents.drivers.preparation import in_order
from federation.core.preparing.plan import Decided, Work, decide
from federation.core.preparing.seen import ClusterSeen
from federation.core.preparing.wanted import components, pinned
from federation.model.errors import Conflict, DriverError, FederationError
from federation.model.preparation import Action, PrepareItem, PreparePlan, PrepareStep, StepState
from federation.model.site_prepare import Prepare
from federation.model.upstream_charts import UpstreamCharts
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

HELM_S = 600.0
READY_S = 900.0
LOOK_S = 1.0
PRIVILEGED = "pod-security.kubernetes.io/enforce"


@dataclass(slots=True)
class KubernetesPreparing:
    """The PrepareDriver. `api` and `releases` are as the account that prepares, and nobody else uses them."""

    site: str
    prepare: Prepare | None
    pins: UpstreamCharts
    folder: Path  # of charts
    api: Api
    releases: Releases
    clock: Clock
    ready_s: float = READY_S
    _decided: Decided = field(default_factory=lambda: Decided(PreparePlan(), {}))

    async def plan(self) -> PreparePlan:
        try:
            self._decided = decide(self.prepare, self.pins, await self._look())
        except DriverError as error:
            raise DriverError(f"as {self.api.kubeconfig}: {error.message}", delay_s=error.delay_s) from error
        return self._decided.plan

    async def apply(self, plan: PreparePlan) -> AsyncIterator[PrepareStep]:
        decided = self._decided
        if plan.fingerprint != decided.plan.fingerprint:
            raise Conflict(f"site {self.site}: another plan was made meanwhile")
        async for step in in_order(plan, lambda item: self._one(item, decided.work[item.chart])):
            yield step

    async def close(self) -> None:
        await self.api.close()

    async def _look(self) -> ClusterSeen:
        if self.prepare is None or self.prepare.nothing:
            return ClusterSeen()
        names = [name for component in components(self.prepare) for name in component.charts]
        charts = [pinned(self.prepare, self.pins, name) for name in names]
        return await Look(self.site, self.api, self.releases, self.folder).at(charts)

    async def _one(self, item: PrepareItem, work: Work) -> AsyncIterator[PrepareStep]:
        begun_mono = self.clock.mono()

        def step(state: StepState, message: str = "") -> PrepareStep:
            seconds = round(self.clock.mono() - begun_mono, 1)
            return PrepareStep(chart=item.chart, state=state, message=message, seconds=seconds)

        yield step(StepState.BEGUN, f"{item.action.value} {item.version} in {item.namespace}")
        try:
            definitions = await self._install(item, work)
            said, limit_mono = "", self.clock.mono() + self.ready_s
            while waits := await unready(self.api, work.chart, definitions):
                now = "; ".join(waits)
                if self.clock.mono() > limit_mono:
                    yield step(StepState.FAILED, f"installed, and after {self.ready_s:g} s not up: {now}")
                    return
                if now != said:
                    yield step(StepState.WAITING, now)
                said = now
                await self.clock.sleep(LOOK_S)
        except FederationError as error:
            log.warning("prepare.failed", chart=item.chart, error=error.message)
            yield step(StepState.FAILED, error.message)
            return
        yield step(StepState.DONE)

    async def _install(self, item: PrepareItem, work: Work) -> tuple[str, ...]:
        """Returns the definitions that have to be established; nothing is done for what is there and only not up yet."""
        if item.action is Action.WAIT:
            return ()
        chart, namespace = work.chart, item.namespace
        archive = archive_of(self.folder, chart)
        await self.api.apply(paths.namespace(namespace), self._namespace(namespace, privileged=chart.privileged))
        objects = await self.releases.render(namespace, chart.name, archive, work.values, limit_s=HELM_S)
        made = await self.releases.apply(
            namespace, chart.name, archive, work.values, description=work.mark, limit_s=HELM_S
        )  # fmt: skip
        log.info("prepare.installed", chart=made.chart, namespace=namespace, revision=made.revision)
        return definitions_in(objects)

    def _namespace(self, name: str, *, privileged: bool) -> dict[str, object]:
        labels = {PREPARED: self.site} | ({PRIVILEGED: "privileged"} if privileged else {})
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
