"""What a pod is told to do with the homes of one hub, what it answers, and where it sees what. Both sides use this, and
nothing here knows Kubernetes.

In the pod the claims of the homes are mounted side by side in one folder, and the hub's database in another, so that they
look like a tree and a hub's folder of a `local` site; what that kind of site does with those is done here too.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, ValidationError

from agents.drivers.base import Capacity, CopyRef, Placed, Saved, UnsentWork
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.settings import CopyStore, LocalSettings, Owner
from federation.model.errors import BY_CODE, Code, DriverError, FederationError
from federation.model.identity import Epoch
from federation.model.schema import Model
from federation.runtime.disk import LocalDisk

ROOT = Path("/hubfed")
ORDER, KEYS, TRUSTED = "order.json", "store.env", "store-ca.pem"
"""Files of the order's folder."""
WORK = "work"
ANSWER = "hubfed-homes-answer "  # begins the line of the pod's log that is the answer
DATABASE = "jupyterhub.sqlite"  # as the upstream chart calls it


class Call(StrEnum):
    SAVE = "save"
    SAVE_UNSENT = "save-unsent"
    RESTORE = "restore"
    PUT = "put"  # homes of a copy into new folders of homes


class CopyText(Model):
    """A `CopyRef`."""

    site: str
    hub: str
    snapshot: str

    @classmethod
    def of(cls, copy: CopyRef) -> CopyText:
        return cls(site=copy.site, hub=copy.hub, snapshot=copy.snapshot)

    @property
    def ref(self) -> CopyRef:
        return CopyRef(self.site, self.hub, self.snapshot)


class OwnerText(Model):
    """An `Owner`."""

    uid: int
    gid: int

    @property
    def owner(self) -> Owner:
        return Owner(self.uid, self.gid)


class HomesOrder(Model):
    """`homes`: which are mounted, by their safe names, and whose each is. `source`: the copy that is read. `limit_s`: what
    restic may take. It holds the repository's password."""

    call: Call
    site: str
    hub: str
    epoch: Epoch
    password: str = Field(repr=False)
    limit_s: float
    store: str
    has_keys: bool = False
    has_trusted: bool = False
    homes_owner: OwnerText
    database_owner: OwnerText
    homes: dict[str, str] = Field(default_factory=dict)
    source: CopyText | None = None
    run: str = ""
    folder: str = ""

    @property
    def copy_ref(self) -> CopyRef:
        """DriverError if the order names none."""
        if self.source is None:
            raise DriverError(f"{self.call.value} of {self.hub} names no copy", delay_s=None)
        return self.source.ref

    def settings(self, root: Path = ROOT) -> LocalSettings:
        """The pod as if it were a local site."""
        folder = root / "order"
        keys, trusted = folder / KEYS if self.has_keys else None, folder / TRUSTED if self.has_trusted else None
        return LocalSettings(
            site=self.site,
            federation=self.hub,
            state_dir=root / WORK / "state",
            runtime_dir=root / WORK / "run",
            homes_dir=root / WORK / "homes",
            capacity=Capacity(0, 0),
            copies=CopyStore(self.store, keys, trusted),
            hub_database=DATABASE,
            homes_owner=self.homes_owner.owner,
            database_owner=self.database_owner.owner,
        )

    def tree(self, root: Path = ROOT) -> Path:
        """The folder in which the homes are mounted."""
        homes = LocalHomes(self.settings(root), LocalDisk())
        return homes.restoring(self.hub) if self.call is Call.RESTORE else homes.tree(self.hub)

    def hub_dir(self, root: Path = ROOT) -> Path:
        """Where the claim of the hub's database is mounted."""
        return self.settings(root).hub_dir(self.hub)


class Wrong(Model):
    """An error of ours, carried over."""

    code: Code
    message: str
    help: str = ""
    delay_s: float | None = None

    @classmethod
    def of(cls, error: FederationError) -> Wrong:
        delay_s = error.delay_s if isinstance(error, DriverError) else None
        return cls(code=error.code, message=error.message, help=error.help, delay_s=delay_s)

    @property
    def error(self) -> FederationError:
        if self.code is Code.DRIVER:
            return DriverError(self.message, delay_s=self.delay_s, help=self.help)
        return BY_CODE[self.code](self.message, help=self.help)


class HomesAnswer(Model):
    """One of these. A restore that is done says nothing."""

    saved: Saved | None = None
    unsent: UnsentWork | None = None
    placed: Placed | None = None
    wrong: Wrong | None = None

    @property
    def line(self) -> str:
        """For the log."""
        return f"{ANSWER}{self.model_dump_json()}"

    @classmethod
    def read(cls, log: str) -> HomesAnswer | None:
        """The last answer of a log; None if it has none that is whole."""
        lines = [line for line in log.splitlines() if line.startswith(ANSWER)]
        try:
            return cls.model_validate_json(lines[-1].removeprefix(ANSWER)) if lines else None
        except ValidationError:
            return None
