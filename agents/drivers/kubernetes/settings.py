"""What a site with a cluster is told by its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.edge_objects import ProxyImage
from agents.drivers.kubernetes.student_nodes import StudentNodes
from federation.core.chart_values.row import SitePart
from federation.core.chart_values.table import merged
from federation.model.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """`chart`: the upstream JupyterHub chart. `around`: ours, of what surrounds a hub. `values`: the site's own, for every
    hub. `proxy_image`: of the hubs' proxy, which also runs the edge."""

    kubeconfig: Path
    chart: Chart
    around: Chart
    part: SitePart = field(default_factory=SitePart)
    values: Mapping[str, Any] = field(default_factory=dict)
    image: str = ""  # of pods that copy homes; empty: none is copied

    def student_nodes(self) -> StudentNodes:
        """Where students' servers run, by chart and site together."""
        return StudentNodes.of(self.part, merged(self.chart.values(), self.values))

    def proxy_image(self) -> ProxyImage:
        """InvalidRequest if neither chart nor site says which."""
        try:
            return ProxyImage.of(merged(self.chart.values(), self.values))
        except (KeyError, TypeError) as error:
            wrong = f"{self.chart.path} and the site's values name no image of the proxy: {error}"
            raise InvalidRequest(wrong, help="Set proxy.chp.image in spec.cluster.values.") from None
