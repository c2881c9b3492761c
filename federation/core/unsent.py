"""What becomes of work that a site had not sent when another one took its hub over: one table from step to move.

The former owner never acts by itself (PROTOCOL.md H7): the leader orders it to save what it alone has, under its old
epoch, and then the present owner to put that beside what the students have now. Each step is found done, or done again:
the folder has one name for ever, and what is there is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, assert_never

from federation.model.homes import HomeIndex, Unsent, UnsentStep
from federation.model.identity import Epoch
from federation.model.ownership import Ownership

CACHES = frozenset({".cache", "__pycache__", ".ipynb_checkpoints"})


def worth_recovering(path: str) -> bool:
    """Whether a changed file (its path within a tree, e.g. `ada/notes.ipynb`) is work: not of the hub itself, not in a
    trash, not what programs make again."""
    home, *parts = path.split("/")
    if home.startswith(".") or not parts:
        return False
    trash = any(part.startswith(".Trash") for part in parts) or "/.local/share/Trash/" in f"/{path}/"
    runtime = "/.local/share/jupyter/runtime/" in f"/{path}/"
    return not trash and not runtime and CACHES.isdisjoint(parts)


T = TypeVar("T")


def the_tree_of(epoch: Epoch, marked: Mapping[T, Epoch]) -> T | None:
    """Of the trees of a hub at one site, by the epoch that each is marked with, the one that was worked in at `epoch`. A
    recovery of the register raises epochs to a new era, and a site that died before it heard of that has the tree of
    before: the newest one of an earlier era, if none is of `epoch` itself."""
    exact = [tree for tree, mark in marked.items() if mark == epoch]
    earlier = sorted(
        ((mark, n, tree) for n, (tree, mark) in enumerate(marked.items()) if mark.era < epoch.era), reverse=True
    )
    return exact[0] if exact else earlier[0][2] if earlier else None


@dataclass(frozen=True, slots=True)
class UnsentFacts:
    """`ownership` None: it is not known yet. `settled`: no operation is under way, and the owner serves. `deleted`: the
    class was retired with its homes. `lasting`: its homes are copied at all."""

    work: Unsent
    ownership: Ownership | None
    settled: bool
    deleted: bool
    lasting: bool
    index: HomeIndex | None
    now: datetime
    keep_s: float


@dataclass(frozen=True, slots=True)
class Save:
    """Order the former owner to save what it alone has."""


@dataclass(frozen=True, slots=True)
class Place:
    """Order the owner to put it into the students' homes."""

    site: str
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class PlaceAgain:
    """The hub has moved before a copy had it: back to the step before."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""

    message: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Its record may go."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing can be done now, for this reason."""

    reason: str


Move = Save | Place | PlaceAgain | Finish | Forget | Wait


def next_move(facts: UnsentFacts) -> Move:
    """The one next move."""
    work, ownership = facts.work, facts.ownership
    if facts.deleted:
        return Forget()
    if ownership is None:
        return Wait("nobody knows who owns the class")
    match work.step:
        case UnsentStep.OWED:
            return _save(facts, ownership)
        case UnsentStep.SAVED:
            return _place(facts, ownership)
        case UnsentStep.PLACED:
            if ownership.epoch != work.placed_epoch:
                return PlaceAgain()
            index = facts.index
            if not facts.lasting:
                return Finish(f"{what(work)} in {work.folder}")
            if index is None or index.epoch != work.placed_epoch or work.placed is None or index.taken <= work.placed:
                return Wait(f"it is in {work.folder} at {work.placed_at}, and in no copy yet")
            return Finish(f"{what(work)} in {work.folder}")
        case UnsentStep.DONE:
            over = work.ended is not None and facts.now - work.ended > timedelta(seconds=facts.keep_s)
            return Forget() if over else Wait(work.message)
        case _ as never:
            assert_never(never)


def what(work: Unsent) -> str:
    """In numbers."""
    students = len(work.homes)
    unread = f" ({work.unread} could not be read)" if work.unread else ""
    return f"{work.files} file{'s' * (work.files != 1)} of {students} student{'s' * (students != 1)}{unread}"


def _save(facts: UnsentFacts, ownership: Ownership) -> Move:
    site = facts.work.site
    if any(earlier.site == site for earlier in ownership.earlier):
        return Wait(f"{site} has not confirmed that it closed")
    if ownership.owner == site and not facts.settled:  # its own tree of then is put aside by the restore that is due
        return Wait(f"{site} owns the class again and does not serve it yet")
    return Save()


def _place(facts: UnsentFacts, ownership: Ownership) -> Move:
    if ownership.owner is None:
        return Wait("nobody owns the class")
    if not facts.settled:
        return Wait(f"{ownership.owner} does not serve the class yet")
    return Place(ownership.owner, ownership.epoch)
