"""Broken and hostile requests: each gets a clear status, no defect is reported, and the server goes on serving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from federation.api.v1 import agent_pb2, control_pb2
from federation.coordinator.rights import RIGHTS
from federation.model.errors import Code, FederationError
from federation.runtime.access import Role
from federation.runtime.channel import MOST_MESSAGE_BYTES
from federation.runtime.grpc_client import Channels, call, first, stream
from federation.runtime.grpc_server import ControlServer
from tests.support.certificates import Certificates
from tests.support.dummy_services import dummy_server, our_methods, request_of
from tests.support.raw_http2 import half_a_request

GARBAGE = b"\xff\xff\xff\xff not a message"
STATUS = "/federation.api.v1.ControlService/Status"
HELLO = "/federation.api.v1.AgentService/Hello"
SESSION = "/federation.api.v1.AgentService/Session"
SERVED = [path for path in our_methods() if path in RIGHTS]  # agents serve the rest, see test_peers


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


async def send_raw(channels: Channels, server: ControlServer, path: str, raw: bytes) -> FederationError | None:
    """The error that these bytes get as the request of this call, or None if it went well."""
    channel, method = channels.to(f"127.0.0.1:{server.port}"), our_methods()[path]
    answer = GetMessageClass(method.output_type).FromString

    async def once() -> AsyncIterator[bytes]:
        yield raw

    multi: Any
    try:
        if not method.server_streaming:
            await call(channel.unary_unary(path, response_deserializer=answer), raw, timeout_s=5)
        elif method.client_streaming:
            multi = channel.stream_stream(path, response_deserializer=answer)
            await first(stream(multi, once(), timeout_s=5))
        else:
            multi = channel.unary_stream(path, response_deserializer=answer)
            await first(stream(multi, raw, timeout_s=5))
    except FederationError as error:
        return error
    return None


def caller_of(path: str, certificates: Certificates, server: ControlServer) -> Channels:
    """Somebody who may call it."""
    if "AgentService" in path:
        return Channels(certificates.agent("iu", "u1"))
    among_themselves = RIGHTS[path].roles == frozenset({Role.COORDINATOR})
    return Channels(certificates.coordinator() if among_themselves else certificates.user("ada"))


@pytest.mark.parametrize("path", SERVED)
async def test_garbage_is_an_invalid_request(path: str, certificates: Certificates) -> None:
    async with dummy_server(certificates) as server, caller_of(path, certificates, server) as channels:
        error = await send_raw(channels, server, path, GARBAGE)
        assert error is not None
        assert (error.code, error.definite) == (Code.INVALID, True)
        assert await send_raw(channels, server, path, request_of(our_methods()[path]).SerializeToString()) is None


async def test_a_message_of_another_call_is_refused_where_it_is_not_a_message_of_this_one(
    certificates: Certificates,
) -> None:
    async with dummy_server(certificates) as server, Channels(certificates.agent("iu", "u1")) as channels:
        other = control_pb2.GetRequest(name="\x0f").SerializeToString()
        error = await send_raw(channels, server, SESSION, other)
        assert error is not None
        assert error.code is Code.INVALID
        other = agent_pb2.HelloRequest(site="tacc", uid="u1").SerializeToString()
        error = await send_raw(channels, server, HELLO, other)
        assert error is not None
        assert error.code is Code.DENIED


async def test_a_message_that_is_too_large_is_refused_before_it_is_read(certificates: Certificates) -> None:
    large = control_pb2.SetSecretRequest(name="n", value=b"x" * MOST_MESSAGE_BYTES).SerializeToString()
    path = "/federation.api.v1.ControlService/SetSecret"
    async with dummy_server(certificates) as server, Channels(certificates.user("ada")) as channels:
        error = await send_raw(channels, server, path, large)
        assert error is not None
        assert (error.code, error.definite) == (Code.INVALID, True)
        assert "larger than max" in error.message
        assert await send_raw(channels, server, path, b"") is None


async def test_deeply_nested_messages_are_refused(certificates: Certificates) -> None:
    nested = b""
    for _ in range(2000):  # Struct -> field -> Value -> Struct ...; protobuf's own bound is 100 deep
        nested = _field(1, _field(2, _field(5, nested)))
    spec = _field(4, _field(3, nested))
    path = "/federation.api.v1.ControlService/Place"
    async with dummy_server(certificates) as server, Channels(certificates.user("ada")) as channels:
        error = await send_raw(channels, server, path, _field(1, _field(3, spec)))
        assert error is not None
        assert error.code is Code.INVALID


async def test_a_request_cut_off_in_the_middle_harms_nobody(certificates: Certificates) -> None:
    served: list[str] = []

    async def status(asked: Any, context: Any) -> control_pb2.StatusResponse:
        served.append("status")
        return control_pb2.StatusResponse()

    tls = certificates.user("ada")
    async with dummy_server(certificates, special={"Status": status}) as server, Channels(tls) as channels:
        for path in (STATUS, "/federation.api.v1.ControlService/Place", SESSION, "/no.such.Service/Call"):
            await asyncio.to_thread(half_a_request, ("127.0.0.1", server.port), tls, path, b"x" * 1000)
        assert served == []
        assert await send_raw(channels, server, STATUS, b"") is None
        assert served == ["status"]


async def test_a_peer_that_speaks_no_tls_or_no_http_harms_nobody(certificates: Certificates) -> None:
    async with dummy_server(certificates) as server, Channels(certificates.user("ada")) as channels:
        for opening in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\x40\x00\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(opening)
            writer.write_eof()
            async with asyncio.timeout(10):
                await reader.read()
            writer.close()
            await writer.wait_closed()
        assert await send_raw(channels, server, STATUS, b"") is None


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length, size = b"", len(content)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content
