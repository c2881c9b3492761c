"""Names in memory, for simulations."""

from __future__ import annotations

from federation.dns.interface import NameCapabilities, NameRecord
from federation.model.errors import Conflict, StaleEpoch, Unavailable


class MemoryNames:
    """`down` makes every call fail as an unreachable name service would."""

    capabilities = NameCapabilities(prerequisite=True)

    def __init__(self) -> None:
        self._records: dict[str, NameRecord] = {}
        self.down = False

    def url_of(self, host: str) -> str:
        return f"http://{host}"

    async def read(self, host: str) -> NameRecord | None:
        self._require_up()
        return self._records.get(host)

    async def write(self, record: NameRecord, expected: NameRecord | None) -> None:
        self._require_up()
        found = self._records.get(record.host)
        if found is not None and found.hub == record.hub and found.epoch > record.epoch:
            raise StaleEpoch(f"{record.host} is at epoch {found.epoch}, not writing {record.epoch}")
        if found != expected:
            raise Conflict(f"{record.host} is not what was expected: nothing was written")
        self._records[record.host] = record

    async def remove(self, host: str, expected: NameRecord) -> None:
        self._require_up()
        found = self._records.get(host)
        if found is None:
            return
        if found != expected:
            raise Conflict(f"{host} is not what was expected: nothing was removed")
        del self._records[host]

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        return await self.read(host)

    def _require_up(self) -> None:
        if self.down:
            raise Unavailable("the name service does not answer")
