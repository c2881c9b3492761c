"""All objects of one kind as far as a watch has told: a list, then each change. Pure.

Revisions are numbers that rise, among objects of one kind (Kubernetes 1.35 promises that; etcd's were so before).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

Object = dict[str, Any]
BOOKMARK, DELETED, CHANGES = "BOOKMARK", "DELETED", ("ADDED", "MODIFIED")


@dataclass(slots=True)
class Mirror:
    """`revision`: up to which all changes are in it. What is given to it becomes its own; nobody else may change it."""

    revision: int = 0
    _objects: dict[str, dict[str, Object]] = field(default_factory=dict)  # by namespace, by name
    _written: list[Object] = field(default_factory=list)  # by ourselves, since a list was begun

    def begin(self) -> None:
        """All objects are about to be listed: what is written from now on may not be in that list."""
        self._written.clear()

    def replace(self, found: Iterable[Object], revision: int) -> None:
        """These are all there are, says a list of this revision."""
        self._objects, self.revision = {}, revision
        for one in found:
            self._keep(one)
        for one in self._written:
            self._keep_newer(one)
        self._written.clear()

    def take(self, event: Mapping[str, Any]) -> None:
        """The next event of the watch. ValueError or KeyError if it is none."""
        kind, one = event["type"], event["object"]
        revision = revision_of(one)
        if kind == DELETED:
            self._drop(one)
        elif kind in CHANGES:
            self._keep_newer(one)
        elif kind != BOOKMARK:
            raise ValueError(f"no event of a watch: {kind}")
        self.revision = revision

    def put(self, one: Object) -> None:
        """We have written this: whoever looks next sees it, before the watch tells."""
        if revision_of(one) > self.revision:  # else all that became of it since is known already
            self._written.append(one)
            self._keep_newer(one)

    def all(self) -> tuple[Object, ...]:
        """Every object, in no order."""
        return tuple(chain.from_iterable(named.values() for named in self._objects.values()))

    def of(self, namespace: str) -> tuple[Object, ...]:
        """Those of one namespace, by name as a list has them."""
        return tuple(one for _name, one in sorted(self._objects.get(namespace, {}).items()))

    def named(self, name: str) -> Object | None:
        """One of a kind that is in no namespace."""
        return self._objects.get("", {}).get(name)

    def _keep_newer(self, one: Object) -> None:
        held = self._held(one)
        if held is None or revision_of(held) <= revision_of(one):
            self._keep(one)

    def _keep(self, one: Object) -> None:
        meta = one["metadata"]
        meta.pop("managedFields", None)  # half of an object, and nobody's who reads here
        self._objects.setdefault(meta.get("namespace", ""), {})[meta["name"]] = one

    def _drop(self, one: Object) -> None:
        held = self._held(one)
        if held is None or revision_of(held) > revision_of(one):
            return  # made anew since, by ourselves
        meta = one["metadata"]
        named = self._objects[meta.get("namespace", "")]
        del named[meta["name"]]
        if not named:
            del self._objects[meta.get("namespace", "")]

    def _held(self, one: Object) -> Object | None:
        meta = one["metadata"]
        return self._objects.get(meta.get("namespace", ""), {}).get(meta["name"])


def revision_of(one: Mapping[str, Any]) -> int:
    """Of an object, of a list, of a bookmark."""
    return int(one["metadata"]["resourceVersion"])
