"""Calling our gRPC servers: channels with mutual TLS and the measured options, calls with deadlines, our own errors.

One `Channels` per process keeps one channel per address. It never retries: that is for whoever knows whether the call
may be repeated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from federation.runtime.channel import CHANNEL_OPTIONS
from federation.runtime.grpc_errors import error_of_call
from federation.runtime.tls import TlsFiles, channel_credentials

A = TypeVar("A")


def open_channel(address: str, tls: TlsFiles, server: str = "") -> grpc.aio.Channel:
    """A channel to `address` (host:port). It connects when it is first used; the caller closes it. `server` is the name
    that the certificate at the other end must carry, if not the address's host."""
    override = (("grpc.ssl_target_name_override", server),) if server else ()
    return grpc.aio.secure_channel(address, channel_credentials(tls), options=(*CHANNEL_OPTIONS, *override))


class Channels:
    """Keeps one channel per address and name of the server until closed."""

    def __init__(self, tls: TlsFiles) -> None:
        self._tls = tls
        self._open: dict[tuple[str, str], grpc.aio.Channel] = {}

    def to(self, address: str, server: str = "") -> grpc.aio.Channel:
        """The channel to this address; see `open_channel` for `server`."""
        if (address, server) not in self._open:
            self._open[address, server] = open_channel(address, self._tls, server)
        return self._open[address, server]

    async def close(self) -> None:
        """Close all; calls that run are cancelled."""
        while self._open:
            _address, channel = self._open.popitem()
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def call(method: grpc.aio.UnaryUnaryMultiCallable[Any, A], request: Any, timeout_s: float) -> A:
    """One call with one answer. Raises the FederationError that the server sent, or one judged from the status:
    `Unavailable` is definite only if no connection could be made, `DeadlineExceeded` never is.
    """
    try:
        return await method(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as failed:
        raise error_of_call(failed, _name(method)) from failed


async def stream(
    method: grpc.aio.UnaryStreamMultiCallable[Any, A] | grpc.aio.StreamStreamMultiCallable[Any, A],
    request: Any,
    timeout_s: float | None = None,
) -> AsyncGenerator[A]:
    """The answers of a streaming call; `request` is a message or, for two-way streams, an iterator of them.

    Without `timeout_s` it may last for ever: the caller watches for silence. Leaving the loop early needs `aclosing`,
    as with every generator; then the call is cancelled at once.
    """
    running: Any = method(request, timeout=timeout_s)
    try:
        async for answer in running:
            yield answer
    except grpc.aio.AioRpcError as failed:
        raise error_of_call(failed, _name(method)) from failed
    finally:
        running.cancel()


async def first(answers: AsyncGenerator[A]) -> A | None:
    """The first answer of a stream, which is then closed; None if it ended without one."""
    async with aclosing(answers):
        async for answer in answers:
            return answer
    return None


def _name(method: Any) -> str:
    """`Place` for the multi-callable of `/federation.api.v1.ControlService/Place`."""
    path: bytes | str = getattr(method, "_method", b"") or b"call"
    text = path.decode() if isinstance(path, bytes) else path
    return text.rpartition("/")[2]
