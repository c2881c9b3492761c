"""What surrounds a hub in its namespace, by our own chart: bounds, defaults, who reaches whom, who is evicted.

It comes before the hub's own release, which counts on it to say who may come to the proxy and what the internet is. So
where it cannot be brought no hub is started, and one that runs is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.hub_record import HubNamespace
from agents.drivers.kubernetes.marks import AROUND
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.releases import Releases, fingerprint
from federation.core.chart_values.row import Given
from federation.core.chart_values.table import classroom_values
from federation.model.errors import DriverError
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

RELEASE = "classroom"
HELM_S = 60.0
COUNTED_S = 15.0
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Of all hubs of a site."""

    chart: Chart
    api: Api
    namespaces: Namespaces
    releases: Releases
    clock: Clock

    async def bring(self, place: HubNamespace, given: Given) -> None:
        """Helm, if what is there is not this, or is not known to be there wholly. The namespace is there."""
        values = classroom_values(given)
        wanted = fingerprint(self.chart.path, values)
        if place.around == wanted:
            return
        if place.around:
            await self.namespaces.note(place.name, AROUND, None)
        release = await self.releases.apply(
            place.name, RELEASE, self.chart.path, values, description="what surrounds the hub", limit_s=HELM_S
        )
        await self._counted(place.name)
        await self.namespaces.note(place.name, AROUND, wanted)
        log.info("hub.surrounded", hub=place.name, chart=release.chart, revision=release.revision)

    async def _counted(self, hub: str) -> None:
        """A quota refuses everything until Kubernetes has counted what is there."""
        deadline_mono = self.clock.mono() + COUNTED_S
        while any(not (one.get("status") or {}).get("used") for one in await self.api.items(paths.quotas(hub))):
            if self.clock.mono() > deadline_mono:
                raise DriverError(f"{hub}: Kubernetes has not counted what its quota bounds", delay_s=5.0)
            await self.clock.sleep(LOOK_S)
