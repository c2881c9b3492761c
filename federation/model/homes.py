"""Which copies of a hub's homes count or once did, and what was never copied (DESIGN.md 4.5, PROTOCOL.md H7)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

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


class RecordedCopy(Model):
    """A copy that was once the one that counts. `n` rises by one with each of the hub, whoever led."""

    n: int
    copy_: CopyPoint
    epoch: Epoch
    taken: AwareDatetime
    homes: int = 0
    files: int = 0
    bytes: int = 0
    unread: int = 0


class HomeTrace(Model):
    """One home in the recorded copies. `spans`: from the first copy that has it up to the first that has it no more
    (None: the newest has it); `changed`: the first copy that has what is in it now, as far as its site could tell."""

    bytes: int
    changed: AwareDatetime
    spans: tuple[tuple[int, int | None], ...]

    def is_in(self, n: int) -> bool:
        """Whether copy `n` has this home."""
        return any(first <= n and (end is None or n < end) for first, end in self.spans)


class HomeHistory(Document):
    """Key `homehistory/<uid>`: the recorded copies, oldest first, those of earlier owners too; written together with the
    home index under the same guard. Which are kept: `federation.core.copy_history`."""

    hub: str
    copies: tuple[RecordedCopy, ...] = ()
    homes: dict[str, HomeTrace] = Field({})


class UnsentStep(StrEnum):
    """The last finished step. What comes next is decided by `federation.core.unsent` alone."""

    OWED = "owed"  # another site took over; whether something was unsent is not known yet
    SAVED = "saved"  # the former owner has closed, and saved what it alone has
    PLACED = "placed"  # it is in the students' homes at the owner of then
    DONE = "done"  # and in a recorded copy; or there was nothing


class UnsentHome(Model):
    """What of one home was unsent, by its safe name."""

    name: str
    files: int
    bytes: int


class Unsent(Document):
    """Key `unsent/<uid>/<site>/<epoch>`, written with the takeover: the site's work of that epoch that is not in `base`,
    the copy that was restored elsewhere, on its way back to the students. `saved` is never in a home index (I3)."""

    hub: str
    site: str
    epoch: Epoch
    base: CopyPoint
    taken_over: AwareDatetime
    step: UnsentStep = UnsentStep.OWED
    saved: CopyPoint | None = None
    homes: tuple[UnsentHome, ...] = ()
    unread: int = 0
    placed_at: str = ""
    placed_epoch: Epoch | None = None
    placed: AwareDatetime | None = None
    ended: AwareDatetime | None = None
    message: str = ""  # what became of it, or what it waits for

    @property
    def folder(self) -> str:
        """Where it goes in each home: the same whenever it is done again."""
        return f"recovered-{self.site}-{self.taken_over:%Y-%m-%dT%H%M%SZ}"

    @property
    def files(self) -> int:
        """Of all students."""
        return sum(home.files for home in self.homes)
