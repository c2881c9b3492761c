"""A row of the table: which field of a classroom decides a value of the chart, where that value goes, and what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from federation.model.classroom import Classroom, ClassroomSpec
from federation.model.site_file import Purpose, SiteFile

Value = Any  # as JSON has it


@dataclass(frozen=True, slots=True)
class SitePart:
    """What the site decides. `storage_class` empty: the cluster's default one. `node_group` empty: students' servers run on
    any node. `core_nodes`: nodes for hubs and proxies are marked, and nothing else of a hub runs there. `edge_address`:
    where the edge in the cluster asks the agent, host:port; empty: the edge is beside the agent. `agent_networks`: from
    where hubs see the agent come, if not from there. `closed`: for students' servers, beside private networks. `store`: of
    copies."""

    name: str = ""
    edge_address: str = ""
    agent_networks: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    store: str = ""
    storage_class: str = ""
    node_group: str = ""
    core_nodes: bool = False
    pull_images: bool = True
    block_metadata: bool = True

    @classmethod
    def of(cls, site: SiteFile) -> SitePart:
        """As its file says."""
        spec = site.spec
        users = [pool.name for pool in spec.pools if pool.purpose is Purpose.USERS]
        storage_class = spec.storage.storage_class if spec.storage is not None else None
        return cls(
            name=site.name,
            edge_address=(spec.agent.edge_address or "") if spec.agent is not None else "",
            agent_networks=spec.cluster.agent_networks if spec.cluster is not None else (),
            closed=spec.cluster.closed if spec.cluster is not None else (),
            store=spec.copies.store if spec.copies is not None else "",
            storage_class=storage_class or "",
            node_group=users[0] if len(users) == 1 else "",
            core_nodes=any(pool.purpose is Purpose.CORE for pool in spec.pools),
        )


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that values are made from. `hub` is the uid. `homes`: generation of the claims that hold the homes.
    `values`: what the hub's own chart is given in the end; empty: what the table makes."""

    classroom: Classroom
    hub: str
    site: SitePart = SitePart()
    homes: int = 0
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def spec(self) -> ClassroomSpec:
        return self.classroom.spec


@dataclass(frozen=True, slots=True)
class Row:
    """`field`: of the classroom, or who else decides. `path`: keys of the values, outermost first, as the chart spells
    them. `value`: None leaves the chart's default in place."""

    field: str
    path: tuple[str, ...]
    value: Callable[[Given], Value]


def row(field: str, path: str, value: Callable[[Given], Value]) -> Row:
    """`path` with slashes: chart keys have dots in them."""
    return Row(field, tuple(path.split("/")), value)


def always(value: Value) -> Callable[[Given], Value]:
    """The same for every classroom."""
    return lambda _given: value
