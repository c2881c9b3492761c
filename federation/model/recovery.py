"""A recovery of the register: its record, and what each site holds (DESIGN.md 4.7, PROTOCOL.md H6)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from federation.model.homes import CopyPoint
from federation.model.identity import Epoch, Member, RegisterId
from federation.model.ownership import Mode
from federation.model.schema import Document, Model


class HubHolding(Model):
    """What one site knows of one hub: its journal (granted, opened, given up, ended), what it may run now, and whether
    users are let in. `directive`: the newest order of the site as on the wire, in base64. `boxes`: its
    secrets by name and site, sealed to sites other than the one that reports, in base64. `homes`: the epoch that owns its
    tree of homes there, `restored`: the copy as which the tree began at that epoch."""

    hub: str
    accepted: Epoch | None = None
    floor: Epoch | None = None
    released: Epoch | None = None
    ended: Epoch | None = None
    held: Epoch | None = None
    mode: Mode | None = None
    runs: bool = False
    serving: bool = False
    directive: str = ""
    boxes: dict[str, dict[str, str]] = Field(default_factory=dict)
    homes: Epoch | None = None
    restored: CopyPoint | None = None

    @property
    def live(self) -> Epoch | None:
        """The epoch at which the site may open the hub, if nobody owns it at a higher one; None: it has none."""
        granted = max((e for e in (self.accepted, self.held) if e is not None), default=None)
        over = [e for e in (self.released, self.ended) if e is not None]
        return None if granted is None or any(granted <= e for e in over) else granted

    @property
    def highest(self) -> Epoch | None:
        """The highest epoch that the site has heard of."""
        heard = (self.accepted, self.floor, self.released, self.ended, self.held)
        return max((e for e in heard if e is not None), default=None)


class Holdings(Document):
    """Key `recovery/holdings/<site>`: the report of a site. `register` is what its agent had journaled when it made the
    report: answers of an earlier era have not been believed since. `promised_s`: until its last promise to a peer ends."""

    site: str
    uid: str
    incarnation: int
    register_id: RegisterId | None = None
    members_version: int = 0
    members: tuple[Member, ...] = ()
    hubs: tuple[HubHolding, ...] = ()
    machine_id: str = ""
    sealing_key: str = ""
    version: str = ""
    kind: str = ""
    cpu_millis: int = 0
    memory_bytes: int = 0
    edge_address: str = ""
    promised_s: float = 0.0


class RecoveryStep(StrEnum):
    """COLLECTING: the new era is written, sites report. WRITING: their reports are closed, and what was decided from them
    is written. DONE: coordinators serve the new era."""

    COLLECTING = "collecting"
    WRITING = "writing"
    DONE = "done"


class Recovery(Document):
    """Key `recovery/now`: the recovery that is under way, or the last one. `without` and `owners` are what persons have
    decided; `problem` is what was found; `replaced`: the uuid of a register of somebody else that was in its place."""

    register_id: RegisterId
    step: RecoveryStep
    began: AwareDatetime
    actor: str
    problem: str
    replaced: str = ""
    without: tuple[str, ...] = ()
    owners: dict[str, str] = Field(default_factory=dict)
