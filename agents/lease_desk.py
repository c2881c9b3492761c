"""Answers edges and fencers on other hosts: what the lease file permits, as the time that is left (PROTOCOL.md H13).

Clocks of two hosts are never compared: whoever asks counts what is left from its own send, which was earlier. The
file stays the only truth, read anew for each answer, so an agent that hangs opens nothing and one that is dead is silent.
"""

from __future__ import annotations

import json
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from federation.core.lease_file import LeaseFile, Permit, read_lease
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.tls import TlsFiles

log = structlog.get_logger(__name__)

PATH = "/lease"
RENEWED_S = 60.0
BACKLOG = 32
NO_ROUTES: dict[str, Any] = {"routes": []}
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LeaseDesk:
    """`table`: the edge's routes as it reads them, or None while there are none."""

    lease: Path
    disk: Disk
    clock: Clock
    table: Callable[[], bytes | None]

    def answer(self) -> Answer:
        """What may be open from now on."""
        content = self.disk.read(self.lease)
        mark = zlib.crc32(content or b"")
        now = permitted(_read(content), self.clock.boot_id(), self.clock.boottime_ns())
        return {**now, "mark": mark, "table": self._routes()}

    def _routes(self) -> Any:
        """None: the table cannot be read just now, and whoever knows one keeps it; permits are told all the same."""
        table = self.table()
        try:
            return json.loads(table) if table is not None else NO_ROUTES
        except ValueError:
            return None


def _read(content: bytes | None) -> LeaseFile | None:
    try:
        return read_lease(content) if content is not None else None
    except ValueError:
        return None


def permitted(file: LeaseFile | None, boot_id: str, now_ns: int) -> Answer:
    """A file of another boot permits nothing, and has no order that means anything in this one. Nor has none at all."""
    if file is None or file.boot_id != boot_id:
        return {"boot_id": boot_id, "order": None, "hubs": {}}
    hubs = {hub: _left(permit, now_ns) for hub, permit in file.permits.items()}
    return {"boot_id": boot_id, "order": list(file.order), "hubs": hubs}


def _left(permit: Permit, now_ns: int) -> Answer:
    close_in, stop_in = (None if at is None else max(0, at - now_ns) for at in (permit.close_at, permit.stop_by))
    return {"epoch": list(permit.epoch), "close_in": close_in, "stop_in": stop_in}


@asynccontextmanager
async def open_desk(desk: LeaseDesk, host: str, port: int, tls: TlsFiles) -> AsyncIterator[int]:
    """Answer until the end; yields the port. Who asks shows no certificate: what they hear is no secret, and what the
    agent says of itself is what they have to be sure of."""

    async def answer(_request: web.Request) -> web.Response:
        shown.look()
        return web.json_response(desk.answer(), headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get(PATH, answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    shown = Shown(tls, context, desk.clock)
    try:
        site = web.TCPSite(runner, host, port, ssl_context=context, backlog=BACKLOG)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Shown:
    """The desk's certificate: one that is renewed in place is shown from then on, for with one that has ended every edge
    would close."""

    tls: TlsFiles
    context: ssl.SSLContext
    clock: Clock
    _content: bytes = b""
    _next_mono: float = 0.0

    def look(self) -> None:
        """Cheap; called with every question."""
        if self.clock.mono() < self._next_mono:
            return
        self._next_mono = self.clock.mono() + RENEWED_S
        try:
            content = self.tls.cert.read_bytes()
            if content != self._content:
                self.context.load_cert_chain(self.tls.cert, self.tls.key)
                self._content = content
        except (OSError, ssl.SSLError) as error:  # half of it written: the next look
            log.warning("desk.certificate", cert=str(self.tls.cert), error=str(error))
