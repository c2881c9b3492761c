"""What a site with a cluster is told by its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.drivers.kubernetes.charts import Chart
from federation.core.chart_values.row import SitePart


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """`chart`: the upstream JupyterHub chart. `values`: the site's own, for every hub."""

    kubeconfig: Path
    chart: Chart
    part: SitePart = field(default_factory=SitePart)
    values: Mapping[str, Any] = field(default_factory=dict)
    image: str = ""  # of pods that copy homes; empty: none is copied
