"""The laptop's name service: a table in a file that the front door's proxy serves as `http://<host>:<port>`.

Several coordinators of one machine write it, one at a time by flock; the file is replaced whole, so the proxy never
reads half of it. Name and epoch are compared and replaced under the same lock (a true prerequisite).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from federation.dns.interface import NameCapabilities, NameRecord
from federation.model.errors import Conflict, StaleEpoch, Unavailable
from federation.model.identity import Epoch
from federation.runtime.disk import LocalDisk
from federation.runtime.http_look import look_session

TIMEOUT_S = 3.0
LOCK_ATTEMPTS, LOCK_PAUSE_S = 50, 0.02
FOUND, UNKNOWN = 200, 404


class FrontDoorNames:
    """`NameDriver`. `table` is the file that the front door reads, `address` (host:port) where it serves."""

    capabilities = NameCapabilities(prerequisite=True, seen_by="the front door")

    def __init__(self, table: Path, address: str) -> None:
        self._table = table
        self._address = address
        self._disk = LocalDisk()

    def url_of(self, host: str) -> str:
        """Browsers lead every name below .localhost to this machine; the port is the front door's."""
        return f"http://{host}:{self._address.rpartition(':')[2]}"

    async def read(self, host: str) -> NameRecord | None:
        return self._load().get(host)

    async def write(self, record: NameRecord, expected: NameRecord | None) -> None:
        async with self._locked():
            names = self._load()
            found = names.get(record.host)
            if found is not None and found.hub == record.hub and found.epoch > record.epoch:
                raise StaleEpoch(f"{record.host} is at epoch {found.epoch}, not writing {record.epoch}")
            if found != expected:
                raise Conflict(f"{record.host} is not what was expected: nothing was written")
            self._save({**names, record.host: record})

    async def remove(self, host: str, expected: NameRecord) -> None:
        async with self._locked():
            names = self._load()
            found = names.pop(host, None)
            if found is None:
                return
            if found != expected:
                raise Conflict(f"{host} is not what was expected: nothing was removed")
            self._save(names)

    async def seen_from_outside(self, host: str) -> NameRecord | None:
        url = f"http://{self._address}/.hubfed/name"
        try:
            async with (
                look_session(TIMEOUT_S) as client,
                client.get(url, headers={"Host": host}) as answer,
            ):
                if answer.status == UNKNOWN:
                    return None
                if answer.status != FOUND:
                    raise Unavailable(f"the front door at {self._address} answered {answer.status} for {host}")
                return _record(host, await answer.json())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the front door at {self._address} does not answer: {error}") from error

    def _load(self) -> dict[str, NameRecord]:
        content = self._disk.read(self._table)
        if content is None:
            return {}
        try:
            return {host: _record(host, fields) for host, fields in json.loads(content)["names"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(f"{self._table} is not a table of names: {error}", help="Delete it.") from error

    def _save(self, names: dict[str, NameRecord]) -> None:
        table = {
            host: {"hub": r.hub, "epoch": [r.epoch.era, r.epoch.n], "target": r.target}
            for host, r in sorted(names.items())
        }
        self._disk.replace(self._table, json.dumps({"names": table}, indent=1).encode())

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """The lock is held for the milliseconds of one replacement and never across an await. A coordinator that was
        frozen while it held it must not freeze the others: they give up, and try again later."""
        self._table.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._table.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for _attempt in range(LOCK_ATTEMPTS):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(LOCK_PAUSE_S)
            else:
                raise Unavailable(f"{self._table} is locked by another coordinator: is one frozen?")
            yield
        finally:
            os.close(handle)


def _record(host: str, fields: Any) -> NameRecord:
    era, n = fields["epoch"]
    return NameRecord(host=host, hub=fields["hub"], epoch=Epoch(era=era, n=n), target=fields["target"])
