"""What truly became of students' work in one simulated run. A piece of work is a number that rises through the run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.sim.history import Event, Pair

Works = frozenset[int]
SUFFIX = ".work"


def works_in(paths: Iterable[str]) -> Works:
    """The pieces among these files, wherever in a home they lie: those that came back lie in a folder of their own."""
    names = (path.rsplit("/", 1)[-1] for path in paths)
    return frozenset(int(name.removesuffix(SUFFIX)) for name in names if name.endswith(SUFFIX))


def file_of(work: int) -> str:
    """Where a student saves a piece of work."""
    return f"s01/{work}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Worked(Event):
    """A student, who reaches the hub at this site, has saved a piece of work."""

    site: str
    hub: str
    epoch: Pair
    work: int


@dataclass(frozen=True, slots=True)
class SeenHomes(Event):
    """Students are let in: what is in their homes then."""

    site: str
    hub: str
    epoch: Pair
    works: Works


@dataclass(frozen=True, slots=True)
class Copied(Event):
    """A copy is in the store of copies, with what was in the homes when it was made. `unsent`: it is one of work that the
    site alone has, which nobody restores in place of homes."""

    site: str
    hub: str
    epoch: Pair
    snapshot: str
    works: Works
    unsent: bool = False


@dataclass(frozen=True, slots=True)
class Recorded(Event):
    """The register's home index names another copy from now on."""

    hub: str
    site: str
    epoch: Pair
    snapshot: str


@dataclass(frozen=True, slots=True)
class Restored(Event):
    """The homes of a hub at this site were replaced by those of a copy."""

    site: str
    hub: str
    epoch: Pair
    snapshot: str


@dataclass(frozen=True, slots=True)
class NotBack(Event):
    """At the end of the calm phase: pieces of work that are in no student's home, although every site lives; and what is
    on record about it."""

    hub: str
    works: Works
    record: str
