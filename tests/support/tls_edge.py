"""An edge that ends TLS on this machine, with the certificate that a test gives it and a login page behind it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from federation.runtime.tls import TlsFiles

PAGE = b'<form><input name="_xsrf" value="x"></form>'
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def server_context(files: TlsFiles, knows: str = "") -> ssl.SSLContext:
    """`knows`: the only name for which it makes a handshake; empty: any."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)

    def known(_socket: Any, name: str | None, _context: ssl.SSLContext) -> int | None:
        return None if not knows or name == knows else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = known
    return context


async def show_login_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(ANSWER)
    await writer.drain()


@asynccontextmanager
async def edge(context: ssl.SSLContext | None, handler: Handler = show_login_page) -> AsyncIterator[str]:
    """Its host:port. Without a context it speaks plain HTTP."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # whoever looked has seen enough
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
