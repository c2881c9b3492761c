"""The agent's journal: what must survive kill -9, written before it is acted on (PROTOCOL.md section 4).

Order: members before the renewal that acknowledges them; `accepted` before anything is done for a hub, `floor` before
the first open at that epoch, `armed` before the first deadline; `ended` before the stop; `released` before the message;
a promise before the yes. Deadlines of leases are not in it: they mean nothing after a restart. One writer, by flock. A
journal that cannot be written changes nothing in memory either: the caller must not act.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from federation.core.holding import Known
from federation.model.errors import Refused, RegisterFault
from federation.model.identity import Epoch, Member, RegisterId
from federation.model.promise import Promise, Wait
from federation.model.schema import Document
from federation.runtime.disk import Disk


class JournalRecord(Document):
    """Everything in the journal, as one document."""

    site: str
    uid: str
    incarnation: int = 0
    register_id: RegisterId | None = None
    revision: int = 0
    members_version: int = 0
    members: tuple[Member, ...] = ()
    floor: dict[str, Epoch] = Field(default_factory=dict)
    accepted: dict[str, Epoch] = Field(default_factory=dict)
    released: dict[str, Epoch] = Field(default_factory=dict)
    ended: dict[str, Epoch] = Field(default_factory=dict)
    armed: dict[str, Epoch] = Field(default_factory=dict)  # had a deadline there last: a file that knows none is old
    promises: tuple[Promise, ...] = ()
    quarantine: Wait | None = None  # since the journal was lost

    def known(self) -> Known:
        """In the words of `core.holding`."""
        return Known(self.register_id, self.revision, self.accepted, self.floor, self.released, self.ended)


class Journal:
    """`record` is what is on disk; `write` makes a change durable before it is visible in `record`."""

    def __init__(self, path: Path, disk: Disk, record: JournalRecord) -> None:
        self._path = path
        self._disk = disk
        self.record = record

    @classmethod
    def open(cls, path: Path, disk: Disk, *, site: str, uid: str) -> Self:
        """Read the journal, or begin one for a site that just joined. RegisterFault if it is of another member or
        does not add up: it must not be guessed at (a quarantine of L follows with armed grants)."""
        content = disk.read(path)
        if content is None:
            return cls(path, disk, JournalRecord(site=site, uid=uid))
        record = _parse(path, content)
        if (record.site, record.uid) != (site, uid):
            raise RegisterFault(
                f"{path} is the journal of {record.site} {record.uid}, this agent is {site} {uid}",
                help="Give this site its own state directory, or remove the other site's files.",
            )
        return cls(path, disk, record)

    def write(self, **changes: Any) -> None:
        """Make changes durable. Unavailable if the disk refuses; nothing has changed then."""
        record = self.record.revise(**changes)
        if record == self.record:
            return
        body = record.model_dump(mode="json", exclude_none=True)
        text = json.dumps(body, separators=(",", ":"), sort_keys=True)
        self._disk.replace(self._path, json.dumps({"checksum": _checksum(text), "journal": text}).encode())
        self.record = record


def _parse(path: Path, content: bytes) -> JournalRecord:
    try:
        outer = json.loads(content)
        if outer["checksum"] != _checksum(outer["journal"]):
            raise RegisterFault(f"{path}: the checksum does not match; it was damaged or edited")
        return JournalRecord.model_validate_json(outer["journal"])
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise RegisterFault(f"{path} is not a journal: {error}") from error


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class SingleWriter:
    """Holds the lock of a state directory, so that two agents of one site never write one journal."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle = os.open(state_dir / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise Refused(f"another agent holds {state_dir}", help="Stop it first; one agent per site.") from error

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._handle)
