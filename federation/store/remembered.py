"""What a coordinator remembers of its register on its own disk, so that an emptied or restored one is not believed.

The register's id and the highest revision that was seen (DESIGN.md 4.7). A register that is empty, another one, or
behind what is remembered stops all writes and all grants here; what runs at the sites runs on (I5, I7).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from federation.model.errors import RegisterFault
from federation.model.identity import RegisterId
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk

EVERY_S = 10.0


class RememberedRegister:
    """One small file. `known` is None on a coordinator's first start."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self.known: RegisterId | None = None
        self.revision = 0
        content = disk.read(path)
        if content is not None:
            try:
                body = json.loads(content)
                self.known, self.revision = RegisterId(uuid=body["uuid"], era=body["era"]), int(body["revision"])
            except (ValueError, KeyError, TypeError) as error:
                raise RegisterFault(f"{path} cannot be understood: {error}", help=self._help()) from error

    def check(self, found: RegisterId | None, revision: int) -> None:
        """RegisterFault if this is not the register that was seen before (`found` None: it is empty)."""
        if self.known is None:
            return
        problem = ""
        if found is None:
            problem = f"the register is empty, and {self.known.uuid} was seen at revision {self.revision}"
        elif found.uuid != self.known.uuid or found.era < self.known.era:
            problem = f"this is register {found.uuid} era {found.era}; {self.known.uuid} era {self.known.era} was seen"
        elif found == self.known and revision < self.revision:
            problem = f"the register is at revision {revision}; {self.revision} was seen before"
        if problem:
            raise RegisterFault(f"{problem}: nothing is written and nothing is granted", help=self._help())

    def note(self, identity: RegisterId, revision: int) -> None:
        """Remember; an older revision changes nothing."""
        if not revision or (identity == self.known and revision <= self.revision):
            return
        body = {"uuid": identity.uuid, "era": identity.era, "revision": revision}
        self._disk.replace(self._path, json.dumps(body).encode())
        self.known, self.revision = identity, revision

    async def keep(self, identity: RegisterId, revision_of: Callable[[], int], clock: Clock) -> None:
        """Remember regularly. Eternal."""
        while True:
            self.note(identity, revision_of())
            await clock.sleep(EVERY_S)

    def _help(self) -> str:
        return (
            "Was it restored from a backup, or emptied? Bring the right data back, or `fedctl register recover`; see "
            f"docs/how-to/recover-the-register.md. This coordinator remembers it in {self._path}."
        )
