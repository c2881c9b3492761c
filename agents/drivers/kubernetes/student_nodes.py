"""On which nodes students' servers of a site run: as the chart is told by the site, for every class. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.drivers.kubernetes.node_room import TOLERATED
from federation.core.chart_values.row import SitePart
from federation.core.chart_values.seat import NODE_GROUP

Object = dict[str, Any]
PURPOSE, CORE = "hub.jupyter.org/node-purpose", "core"


@dataclass(frozen=True, slots=True)
class StudentNodes:
    """`selector`: labels that such a node has. `tolerations`: taints with which it is one all the same."""

    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Object] = TOLERATED

    @classmethod
    def of(cls, part: SitePart, values: Mapping[str, Any]) -> StudentNodes:
        """`values`: the chart's own with the site's over them. What is not as a chart has it is left out."""
        group = {NODE_GROUP: part.node_group.replace(".", "-")} if part.node_group else {}
        server = _map(values.get("singleuser"))
        placing = _map(_map(values.get("scheduling")).get("userPods"))
        tolerations = [*_list(placing.get("tolerations")), *_list(server.get("extraTolerations"))]
        more = [one for one in TOLERATED if one not in tolerations]
        return cls({**group, **_map(server.get("nodeSelector"))}, (*more, *tolerations))

    def take(self, node: Object) -> bool:
        """Whether it is one by its labels. Nodes for hubs and proxies are none."""
        labels = node["metadata"].get("labels") or {}
        return labels.get(PURPOSE) != CORE and all(labels.get(key) == value for key, value in self.selector.items())

    def affinity(self) -> Object:
        """The same, as a pod says it beside the selector."""
        elsewhere = {"key": PURPOSE, "operator": "NotIn", "values": [CORE]}
        must = {"nodeSelectorTerms": [{"matchExpressions": [elsewhere]}]}
        return {"requiredDuringSchedulingIgnoredDuringExecution": must}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
