"""Who may run what: ownership per hub, agent incarnations and site leases (DESIGN.md 4.2, PROTOCOL.md section 3)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from federation.model.homes import CopyPoint
from federation.model.identity import Epoch
from federation.model.schema import Document, Model


class Mode(StrEnum):
    """STANDING: runs on in silence, nothing can move it. ARMED: served until send time + D (needs a fencer)."""

    STANDING = "standing"
    ARMED = "armed"


class EarlierOwner(Model):
    """An owner that has not confirmed that it closed. `members_ack` is the member list that it had acknowledged when
    its ownership ended: nobody who joined later may take over, for it could not have asked them (H5)."""

    site: str
    epoch: Epoch
    members_ack: int = 0


class Ownership(Document):
    """Key `hub/<uid>`: which site may run a hub now. The epoch only rises; a tombstone is evidence of the end."""

    hub: str
    owner: str | None = None
    epoch: Epoch
    earlier: tuple[EarlierOwner, ...] = ()
    tombstone: bool = False
    homes_at: str | None = None  # the last owner: its homes are there and nowhere else (I6)
    restore: CopyPoint | None = None  # what the homes must be before the hub is started; None once it was
    restore_since: Epoch | None = None  # the first epoch at which that copy was due, all at the site that has the hub
    home: str | None = None  # the site that lost the hub to a takeover: failback moves it back there
    taken_over: AwareDatetime | None = None  # the last automatic move, by the clock of the leader that made it


class ArmedRun(Model):
    """Since which renewal a hub has been armed without a break. Takeover needs `heard`: the site said that it knows of
    the deadline, and it said so after its fencer had acknowledged it (H15 b-d)."""

    incarnation: int
    seq: int
    heard: bool = False

    def is_heard_by(self, incarnation: int, fenced: int) -> bool:
        """Whether a site whose fencer has taken answer `fenced` of `incarnation` knows of this run: all answers of a
        later incarnation belong to it, for a standing grant would have ended it."""
        if incarnation > self.incarnation:
            return fenced > 0
        return incarnation == self.incarnation and fenced >= self.seq


class Owned(Document):
    """Key `own/<site>/<uid>`: one hub of the site, read inside the renewal transaction; together they are the grant.
    Only renewals change `armed`."""

    hub: str
    epoch: Epoch
    armed: ArmedRun | None = None

    @property
    def mode(self) -> Mode:
        """What a grant says of it."""
        return Mode.STANDING if self.armed is None else Mode.ARMED

    @property
    def may_be_taken_over(self) -> bool:
        """Whether the silence of the site is enough to move it."""
        return self.armed is not None and self.armed.heard


class WantedMode(Document):
    """Key `mode/<site>/<uid>`: what the leader wants a hub to be, and why it is not armed. It counts for one epoch.
    A hub becomes armed by a renewal that reads this, never by this alone (H15 a)."""

    hub: str
    epoch: Epoch
    mode: Mode
    reasons: tuple[str, ...] = ()


class Pause(Document):
    """Key `pause`: somebody switched automatic moves off. While it is there every hub is standing."""

    reason: str
    actor: str
    since: AwareDatetime


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
