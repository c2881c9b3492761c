"""A row of the table: which field of a classroom decides a value of the chart, where that value goes, and what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from federation.model.classroom import Classroom, ClassroomSpec

Value = Any  # as JSON has it


@dataclass(frozen=True, slots=True)
class SitePart:
    """What the site decides. `storage_class` empty: the cluster's default one. `node_group` empty: students' servers run on
    any node. `core_nodes`: nodes for hubs and proxies are marked, and nothing else of a hub runs there."""

    storage_class: str = ""
    node_group: str = ""
    core_nodes: bool = False
    pull_images: bool = True
    block_metadata: bool = True


@dataclass(frozen=True, slots=True)
class Given:
    """Everything that values are made from. `hub` is the uid. `homes`: generation of the claims that hold the homes."""

    classroom: Classroom
    hub: str
    site: SitePart = SitePart()
    homes: int = 0

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
