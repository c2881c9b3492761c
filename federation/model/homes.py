"""Where the newest authoritative copy of a hub's homes is (DESIGN.md 4.5, PROTOCOL.md H7)."""

from __future__ import annotations

from pydantic import AwareDatetime

from federation.model.identity import Epoch
from federation.model.schema import Document, Model


class CopyPoint(Model):
    """One copy: the site that made it, and the snapshot's id in full. Never "latest": an upload that ends late, after
    another site took over, is never taken."""

    site: str
    snapshot: str


class HomeIndex(Document):
    """Key `home/<uid>`: the copy that a takeover restores, written under the (owner, epoch) guard when it was in the
    store. `taken` is when the run began, by the clock of the leader that ordered it."""

    hub: str
    copy_: CopyPoint
    epoch: Epoch
    run: str
    taken: AwareDatetime
    used: int = 0  # the site's mark of use when the run began: another one means that students have worked since
    homes: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    unread: tuple[str, ...] = ()
    database: bool = False
