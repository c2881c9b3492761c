"""Entries by key, grouped by their first folder, so that listing one folder does not look at all the others.

Sorted key lists are made when a folder is listed and kept until a key comes or goes; changes of values cost nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from federation.store.interface import Entry


class _Folder:
    """The entries of one folder."""

    __slots__ = ("entries", "ordered")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.ordered: list[str] | None = None

    def below(self, prefix: str) -> list[Entry]:
        if self.ordered is None:
            self.ordered = sorted(self.entries)
        found = []
        for position in range(bisect_left(self.ordered, prefix), len(self.ordered)):
            key = self.ordered[position]
            if not key.startswith(prefix):
                break
            found.append(self.entries[key])
        return found


class Folders:
    """A set of entries that is cheap to change and to list by prefix."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._folders: dict[str, _Folder] = {}
        for entry in entries:
            self.put(entry)

    def get(self, key: str) -> Entry | None:
        """One entry."""
        folder = self._folders.get(_name(key))
        return None if folder is None else folder.entries.get(key)

    def put(self, entry: Entry) -> None:
        """Add or replace."""
        folder = self._folders.setdefault(_name(entry.key), _Folder())
        if entry.key not in folder.entries:
            folder.ordered = None
        folder.entries[entry.key] = entry

    def remove(self, key: str) -> None:
        """Remove; an absent key is fine."""
        folder = self._folders.get(_name(key))
        if folder is not None and folder.entries.pop(key, None) is not None:
            folder.ordered = None

    def below(self, prefix: str) -> tuple[Entry, ...]:
        """All entries whose key starts with `prefix`, in key order."""
        if "/" in prefix:
            folder = self._folders.get(_name(prefix))
            return () if folder is None else tuple(folder.below(prefix))
        found = [e for name, f in self._folders.items() if name.startswith(prefix) for e in f.below(prefix)]
        return tuple(sorted(found, key=lambda entry: entry.key))

    def differences(self, other: Folders) -> list[str]:
        """Keys that are only in one of the two, or were changed between them; sorted."""
        ours, theirs = self._revisions(), other._revisions()
        return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))

    def _revisions(self) -> dict[str, int]:
        return {key: entry.revision for folder in self._folders.values() for key, entry in folder.entries.items()}


def _name(key: str) -> str:
    head, slash, _rest = key.partition("/")
    return head + slash
