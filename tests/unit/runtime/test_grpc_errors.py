"""Every error of the catalogue survives the wire; what a peer did not say is judged on the safe side."""

from __future__ import annotations

import grpc
import pytest

from federation.api.v1.errors_pb2 import Error
from federation.model.errors import BY_CODE, CATALOGUE, Code, DriverError, FederationError, Unavailable
from federation.runtime.grpc_errors import METADATA_KEY, error_of, error_of_call, message_of, status_of


def failed(status: grpc.StatusCode, text: str, *trailing: tuple[str, bytes]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), text)


@pytest.mark.parametrize("code", Code)
def test_an_error_is_made_again_at_the_client(code: Code) -> None:
    sent = BY_CODE[code]("it did not work", help="do this")
    sent.definite, sent.details = False, {"leader": "a:1"}
    status, text, trailing = status_of(sent)
    got = error_of_call(failed(status, text, *trailing), "Get")
    assert type(got) is type(sent)
    assert (got.message, got.help, got.details, got.definite, got.retryable) == (
        "it did not work",
        "do this",
        {"leader": "a:1"},
        False,
        CATALOGUE[code].retryable,
    )
    assert status.name == CATALOGUE[code].grpc_status


def test_the_wire_says_whether_repeating_may_help() -> None:
    assert message_of(Unavailable("x")).retryable is True
    assert message_of(DriverError("x")).retryable is True
    assert message_of(FederationError("x")).retryable is False


def test_a_newer_servers_code_is_a_plain_error_with_its_words() -> None:
    got = error_of(Error(code="Tomorrow", message="m", definite=True, help="h"))
    assert (type(got), got.message, got.help, got.definite) == (FederationError, "m", "h", True)


@pytest.mark.parametrize(
    ("status", "text", "code", "definite"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: ...", Code.UNAVAILABLE, True),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", Code.UNAVAILABLE, False),
        (grpc.StatusCode.UNAVAILABLE, "", Code.UNAVAILABLE, False),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Code.DEADLINE, False),
        (grpc.StatusCode.CANCELLED, "", Code.UNAVAILABLE, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max", Code.INVALID, True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max", Code.INVALID, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", Code.UNAVAILABLE, True),
        (grpc.StatusCode.UNIMPLEMENTED, "Method not found!", Code.REFUSED, True),
        (grpc.StatusCode.PERMISSION_DENIED, "", Code.DENIED, True),
        (grpc.StatusCode.UNKNOWN, "", Code.INTERNAL, False),
        (grpc.StatusCode.INTERNAL, "RST_STREAM", Code.INTERNAL, False),
    ],
)
def test_without_our_own_error_the_status_is_judged(
    status: grpc.StatusCode, text: str, code: Code, definite: bool
) -> None:
    got = error_of_call(failed(status, text), "Place")
    assert (got.code, got.definite) == (code, definite)
    assert "Place" in got.message


def test_a_broken_error_message_falls_back_to_the_status() -> None:
    got = error_of_call(failed(grpc.StatusCode.UNAVAILABLE, "gone", (METADATA_KEY, b"\xff")), "Place")
    assert (got.code, got.definite) == (Code.UNAVAILABLE, False)
