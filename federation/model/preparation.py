"""The plan by which a bare cluster is prepared, and how far it has come."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Self

from federation.model.schema import Model


class Action(StrEnum):
    """What becomes of one chart."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    REPAIR = "repair"  # a release that was interrupted or failed
    WAIT = "wait"  # installed as it should be, and not all of it is up yet
    KEEP = "keep"  # all is as it should be
    LEAVE = "leave"  # somebody else's: it is not touched


class PrepareItem(Model):
    """One chart. `now`: name and version that are installed; empty: none. `digest`: of the archive; `values`: a digest of
    what it is given."""

    chart: str
    version: str
    namespace: str
    action: Action
    now: str = ""
    digest: str = ""
    values: str = ""
    reason: str = ""

    @property
    def changes(self) -> bool:
        """Whether anything is to be done for it."""
        return self.action not in (Action.KEEP, Action.LEAVE)


class Objection(Model):
    """Why the plan cannot be carried out. `at`: a place in the site file, or what else it is about."""

    at: str
    wrong: str
    todo: str = ""


DECIDED = {"chart", "version", "namespace", "action", "now", "digest", "values"}


class PreparePlan(Model):
    """What would be done, in this order; nothing of it was. `under_way`: it is being done. `fingerprint`: of what was
    decided, and what is against it; another one is another plan."""

    items: tuple[PrepareItem, ...] = ()
    objections: tuple[Objection, ...] = ()
    notes: tuple[str, ...] = ()
    under_way: bool = False
    fingerprint: str = ""

    @classmethod
    def of(
        cls, items: Sequence[PrepareItem] = (), objections: Sequence[Objection] = (), notes: Sequence[str] = ()
    ) -> Self:
        """With its fingerprint. Reasons are no part of it: they change while they are read."""
        plan = cls(items=tuple(items), objections=tuple(objections), notes=tuple(notes))
        content = plan.model_dump_json(include={"items": {"__all__": DECIDED}, "objections": True})
        return plan.revise(fingerprint=hashlib.sha256(content.encode()).hexdigest()[:32])

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(item.changes for item in self.items)


class StepState(StrEnum):
    BEGUN = "begun"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # not begun, because one before it failed


class PrepareStep(Model):
    """What has just become of one chart; `seconds` since its beginning."""

    chart: str
    state: StepState
    message: str = ""
    seconds: float = 0.0
