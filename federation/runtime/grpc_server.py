"""Our gRPC server: mutual TLS, and one guard in front of every RPC that knows who calls and what it may.

For each call the guard checks the caller's certificate against the table of rights, reads the request itself (so that
garbage gets a clear answer), gives a call without a deadline one, binds the log context, and turns errors into
statuses.
Statuses are set, never aborted with: `stop` does not wait for handlers that aborted.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from federation.model.errors import Code, DeadlineExceeded, Denied, FederationError, InvalidRequest, Unavailable
from federation.runtime.access import AccessCheck, current_principal, serving
from federation.runtime.channel import SERVER_OPTIONS
from federation.runtime.grpc_errors import status_of
from federation.runtime.identity_uri import Principal
from federation.runtime.tls import TlsFiles, server_credentials

__all__ = ["ControlServer", "Guard", "build_server", "current_principal"]

DEFAULT_DEADLINE_S = 30.0
MOST_CALLS = 4000  # at once; an agent holds one session, fedctl a few calls

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Any], Any]


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every handler of a server."""

    def __init__(self, access: AccessCheck, *, default_deadline_s: float = DEFAULT_DEADLINE_S) -> None:
        self._access = access
        self._default_deadline_s = default_deadline_s
        self._streams: set[asyncio.Task[Any]] = set()

    def end_streams(self) -> None:
        """End every call that would go on for ever; its client is told to go elsewhere."""
        for task in tuple(self._streams):
            task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC answers UNIMPLEMENTED
        call = _Call(self._access, str(handler_call_details.method), handler, self._default_deadline_s, self._streams)
        match (bool(handler.request_streaming), bool(handler.response_streaming)):
            case (False, False):
                return grpc.unary_unary_rpc_method_handler(call.one_answer, None, handler.response_serializer)
            case (False, True):
                return grpc.unary_stream_rpc_method_handler(call.many_answers, None, handler.response_serializer)
            case (True, False):
                return grpc.stream_unary_rpc_method_handler(call.one_answer, None, handler.response_serializer)
            case _:
                return grpc.stream_stream_rpc_method_handler(call.many_answers, None, handler.response_serializer)


@dataclass(frozen=True, slots=True)
class _Call:
    """One RPC method behind the guard. `asked` is the raw request, or an iterator of them."""

    access: AccessCheck
    method: str
    handler: Any
    default_deadline_s: float
    streams: set[asyncio.Task[Any]]

    async def one_answer(self, asked: Any, context: Context) -> Any:
        # ours, if the client gave none; else gRPC ends the call at the client's
        limit = asyncio.timeout(self.default_deadline_s if context.time_remaining() is None else None)
        try:
            principal = self._enter(context)
            behaviour: Behaviour = self.handler.stream_unary or self.handler.unary_unary
            async with limit:
                return await behaviour(self._request(principal, asked), context)
        except TimeoutError as error:
            late = DeadlineExceeded(f"{self.method}: not done within {self.default_deadline_s:g} s")
            return self._refuse(context, late if limit.expired() else self._unexpected(error))
        except FederationError as error:
            return self._refuse(context, error)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: whatever is wrong in here, the client gets an answer
            return self._refuse(context, self._unexpected(error))

    async def many_answers(self, asked: Any, context: Context) -> None:
        """Writes the answers itself: so the servicer's iterator is closed at once when the peer goes away."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: gRPC runs each call in a task
        self.streams.add(task)
        try:
            await self._write_answers(asked, context)
        except FederationError as error:
            self._refuse(context, error)
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            if context.cancelled():
                raise
            # `end_streams` did this: the client is still there and gets an answer
            task.uncancel()
            self._refuse(context, Unavailable(f"{self.method}: this coordinator stops"))
        except Exception as error:  # noqa: BLE001 - the boundary, as above
            self._refuse(context, self._unexpected(error))
        finally:
            self.streams.discard(task)

    async def _write_answers(self, asked: Any, context: Context) -> None:
        principal = self._enter(context)
        behaviour: Behaviour = self.handler.stream_stream or self.handler.unary_stream
        answers = behaviour(self._request(principal, asked), context)
        if inspect.isawaitable(answers):  # a servicer that writes itself, as gRPC's own health service does
            await answers
            return
        async with aclosing(answers):
            async for answer in answers:
                await context.write(answer)

    def _enter(self, context: Context) -> Principal:
        principal = self.access.admit(self.method, context.auth_context().get("peer_uri") or ())
        serving(principal)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(rpc=self.method.rpartition("/")[2], principal=principal.label)
        return principal

    def _request(self, principal: Principal, asked: Any) -> Any:
        if self.handler.request_streaming:
            return self._messages(principal, asked)
        return self._read(principal, asked, first=True)

    async def _messages(self, principal: Principal, asked: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        first = True
        async for raw in asked:
            yield self._read(principal, raw, first=first)
            first = False

    def _read(self, principal: Principal, raw: bytes, *, first: bool) -> Any:
        try:
            message = self.handler.request_deserializer(raw)
        except (DecodeError, ValueError) as error:
            raise InvalidRequest(f"{self.method}: {len(raw)} bytes that are no message of this call") from error
        if isinstance(message, Message):
            self.access.speaks(self.method, principal, message, first=first)
        return message

    def _refuse(self, context: Context, error: FederationError) -> None:
        """Set the status; the answer that gRPC then takes from us is thrown away."""
        code, text, trailing = status_of(error)
        if isinstance(error, Denied):
            log.warning("rpc.denied", method=self.method, peer=context.peer(), reason=error.message)
        elif error.code is not Code.INTERNAL:
            log.debug("rpc.refused", method=self.method, code=error.code.value, reason=error.message)
        context.set_code(code)
        context.set_details(text)
        context.set_trailing_metadata(trailing)

    def _unexpected(self, error: Exception) -> FederationError:
        """Logged whole, here only; the client gets the number under which to find it."""
        number = secrets.token_hex(4)
        log.error("rpc.failed", method=self.method, number=number, exc_info=error)
        return FederationError(
            f"{self.method} failed in a way that was not foreseen; number {number} in the log",
            definite=False,
            details={"number": number},
        )


class ControlServer:
    """A server with its health service. `start`, then `stop`; servicers are added to `grpc` before the start."""

    def __init__(self, server: grpc.aio.Server, guard: Guard, health: Any, port: int, services: frozenset[str]) -> None:
        self.grpc = server
        self._guard = guard
        self.port = port  # the one that was free, if 0 was asked for
        self._health = health
        self._services = services

    async def start(self) -> None:
        """Listen, and say that all is well: of the server as a whole and of each of its services."""
        await self.grpc.start()
        for service in ("", *sorted(self._services)):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, end_sessions: Callable[[], None] | None = None, grace_s: float = 2.0) -> None:
        """Refuse new calls, end sessions and other streams, and give the other calls `grace_s` seconds.

        Streams are ended first: an open one would make the stop last the whole grace.
        """
        await self._health.enter_graceful_shutdown()
        if end_sessions is not None:
            end_sessions()
            await asyncio.sleep(0)
        self._guard.end_streams()
        await self.grpc.stop(grace_s)


def build_server(
    listen: str,
    tls: TlsFiles,
    access: AccessCheck,
    *,
    default_deadline_s: float = DEFAULT_DEADLINE_S,
) -> ControlServer:
    """A server on `listen` (host:port, port 0 takes a free one) with guard, health, and reflection of every service
    that the table of rights knows.

    Raises Unavailable if the address cannot be had, InvalidRequest if a TLS file cannot be read.
    """
    guard = Guard(access, default_deadline_s=default_deadline_s)
    server = grpc.aio.server(
        interceptors=(guard,),
        options=SERVER_OPTIONS,
        maximum_concurrent_rpcs=MOST_CALLS,
    )
    healths: Any = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    services = frozenset(method.split("/")[1] for method in access.rights)
    reflection.enable_server_reflection(sorted(services), server)
    try:
        port = server.add_secure_port(listen, server_credentials(tls))
    except RuntimeError as error:
        raise Unavailable(f"cannot listen on {listen}: {error}", help="Is another program on it?") from error
    return ControlServer(server, guard, healths, port, services)
