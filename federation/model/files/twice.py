"""What two documents may not share, also when they stand in different files: their name, and their host names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from federation.model.files.yaml_tree import Tree
from federation.model.refusal import Place, Problem

NAME: Place = ("metadata", "name")
HOST: Place = ("spec", "dns", "host")
ALIASES: Place = ("spec", "dns", "aliases")


@dataclass(slots=True)
class Shared:
    """Remembers where each name and each host name was given first."""

    _names: dict[str, tuple[str, int]] = field(default_factory=dict)
    _hosts: dict[str, tuple[int, str]] = field(default_factory=dict)  # -> number of the document, and where it stands
    _documents: int = 0

    def problems(self, file: str, tree: Tree) -> tuple[Problem, ...]:
        """What an earlier document has already; one that has the name is the same class, and one mistake is enough."""
        self._documents += 1
        same_name = tuple(self._same_name(file, tree))
        return same_name or tuple(self._same_host(file, tree))

    def _same_name(self, file: str, tree: Tree) -> Iterator[Problem]:
        name = _text_at(tree.data, NAME)
        if name is None:
            return
        known = self._names.setdefault(name, (file, tree.positions[NAME].line))
        if known != (file, tree.positions[NAME].line):
            wrong = f"{name} is also the name of the document at {known[0]}:{known[1]}"
            yield Problem(wrong, "each name once", f"{name}-2", NAME)

    def _same_host(self, file: str, tree: Tree) -> Iterator[Problem]:
        for place, host in _hosts_in(tree.data):
            line = tree.positions[place].line if place in tree.positions else 1
            document, where = self._hosts.setdefault(host, (self._documents, f"{file}:{line}"))
            if document != self._documents:
                wrong = f"{host} is also a host name of the document at {where}"
                label, _, zone = host.partition(".")
                yield Problem(wrong, "each host name once", f"{label}-2.{zone}", place)


def _hosts_in(data: Any) -> Iterator[tuple[Place, str]]:
    host = _text_at(data, HOST)
    if host is not None:
        yield HOST, host
    aliases = _at(data, ALIASES)
    for index, alias in enumerate(aliases if isinstance(aliases, list) else ()):
        if isinstance(alias, str):
            yield (*ALIASES, index), alias


def _text_at(data: Any, place: Place) -> str | None:
    found = _at(data, place)
    return found if isinstance(found, str) else None


def _at(data: Any, place: Place) -> Any:
    for part in place:
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return data
