"""The lease file as this agent wrote it last, and that it stays so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from federation.model.errors import FederationError
from federation.runtime.disk import Disk

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WrittenFile:
    """On tmpfs; read by the edge and the fencer."""

    path: Path
    disk: Disk
    _content: bytes = b""

    def read(self) -> bytes | None:
        """What is there now, whoever wrote it."""
        return self.disk.read(self.path)

    def replace(self, content: bytes) -> None:
        """Unavailable if that is not possible; what was there is whole then."""
        self.disk.replace(self.path, content, durable=False)
        self._content = content

    def keep(self) -> None:
        """Put the newest content back if it was lost, or an old one took its place: an edge or a fencer that is started
        now would know nothing, or believe that one. To be called again and again, for in an outage no answer writes it."""
        try:
            if not self._content or self.read() == self._content:
                return
            self.replace(self._content)
        except (FederationError, OSError) as error:  # the fencer goes by what it remembers
            log.warning("lease.file_lost", path=str(self.path), error=str(error))
        else:
            log.warning("lease.file_restored", path=str(self.path))
