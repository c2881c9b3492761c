"""What a `local` site is told at its composition root, and where on the disk it keeps what."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.base import Capacity
from agents.drivers.local.marks import HUBS, site_marks, table_file

FIRST_STUDENT_UID = 200_000


@dataclass(frozen=True, slots=True)
class CopyStore:
    """Where copies of homes go: a folder that every site sees, or `s3:https://host:port/bucket/prefix` with its keys in
    a file of NAME=value lines. Each site writes only what is below its own name there."""

    place: str
    credentials: Path | None = None
    cacert: Path | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose files are, in numbers."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """One local site. `federation` marks every process of the federation, so that no other one is ever touched."""

    site: str
    federation: str
    state_dir: Path
    runtime_dir: Path  # on tmpfs: holds lease.json
    homes_dir: Path
    capacity: Capacity
    edge_host: str = "127.0.0.1"
    edge_port: int = 0  # 0: a free one, chosen once
    edge_address: str = ""  # host:port at which others reach the edge; empty: where it listens
    interpreter: Path = Path(sys.executable)
    first_student_uid: int = FIRST_STUDENT_UID
    copies: CopyStore | None = None
    hub_database: str = "hub.sqlite"  # in the folder of each hub
    homes_owner: Owner | None = None  # of all homes; None: each student's own, or the agent's
    database_owner: Owner | None = None  # None: the agent's

    @property
    def lease_file(self) -> Path:
        """Written by the agent, read by the edge."""
        return self.runtime_dir / "lease.json"

    @property
    def edge_dir(self) -> Path:
        """The edge's table, log and chosen port."""
        return self.state_dir / "edge"

    @property
    def edge_table(self) -> Path:
        """Host names and where they lead."""
        return table_file(self.state_dir)

    @property
    def uids_file(self) -> Path:
        """Which student has which system uid at this site."""
        return self.state_dir / "student-uids.json"

    @property
    def copies_dir(self) -> Path:
        """restic's cache and what it writes while it runs; 0700."""
        return self.state_dir / "copies"

    def hub_dir(self, hub: str) -> Path:
        """Database, secrets and logs of one hub; 0700."""
        return self.state_dir / HUBS / hub

    def marks(self, **more: str) -> dict[str, str]:
        """Environment marks that name this site's processes, e.g. `marks(HUB=hub, ROLE="proxy")`."""
        return site_marks(self.federation, self.site, **more)
