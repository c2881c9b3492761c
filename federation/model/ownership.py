"""Who may run what: ownership per hub, agent incarnations and site leases (DESIGN.md 4.2, PROTOCOL.md section 3)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from federation.model.identity import Epoch, Member
from federation.model.schema import Document, Model


class Mode(StrEnum):
    """STANDING: runs on in silence, nothing can move it. ARMED: served until send time + D (needs a fencer)."""

    STANDING = "standing"
    ARMED = "armed"


class EarlierOwner(Model):
    """An owner that has not confirmed that it closed, with the members that it had acknowledged (H5)."""

    site: str
    epoch: Epoch
    members_ack: tuple[Member, ...] = ()


class Ownership(Document):
    """Key `hub/<uid>`: which site may run a hub now. The epoch only rises; a tombstone is evidence of the end."""

    hub: str
    owner: str | None = None
    epoch: Epoch
    mode: Mode = Mode.STANDING
    armed_seq: int | None = None
    earlier: tuple[EarlierOwner, ...] = ()
    tombstone: bool = False
    homes_at: str | None = None  # the last owner: its homes are there and nowhere else (I6)


class Owned(Document):
    """Key `own/<site>/<uid>`: one hub of the site, read inside the renewal transaction; together they are the grant."""

    hub: str
    epoch: Epoch
    mode: Mode = Mode.STANDING


class AgentRecord(Document):
    """Key `agent/<site>`: the incarnation of the agent process that may speak for the site."""

    site: str
    uid: str
    incarnation: int
    machine_id: str = ""
    sealing_key: str = ""
    version: str = ""


class SiteLease(Document):
    """Key `lease/<site>`: the newest renewal. Its register revision is what a leader counts from."""

    site: str
    incarnation: int
    seq: int
    heard: int
    members_ack: int = 0


class Contact(Document):
    """Key `contact/<site>`: a renewal of a site that does not hear its answers; grants nothing (H4)."""

    site: str
    incarnation: int
    seq: int
    heard: int
    at: AwareDatetime | None = None
