"""Errors on the wire, both ways: a `FederationError` becomes a status with a typed message in the trailing metadata,
and is made again at the client. The only place that reads gRPC statuses.

What the peer did not say is judged here: a failed call is *definite* only if it surely was not carried out.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import DecodeError

from federation.api.v1.errors_pb2 import Error
from federation.model.errors import (
    BY_CODE,
    CATALOGUE,
    Code,
    DeadlineExceeded,
    Denied,
    FederationError,
    InvalidRequest,
    NotFound,
    Refused,
    Unavailable,
)

METADATA_KEY = "hubfed-error-bin"
# Peers refuse metadata above 8 KiB altogether, which would replace a long error by a useless one.
MOST_MESSAGE = 3000
MOST_DETAILS = 2000
MOST_STATUS_TEXT = 400

# gRPC's words for "no connection could be made", i.e. the request never left this process. Anything else may have.
_NEVER_SENT = ("failed to connect to all addresses", "name resolution failure", "dns resolution failed")


def status_of(error: FederationError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Status code, its short text, and trailing metadata for an error."""
    code: grpc.StatusCode = grpc.StatusCode[CATALOGUE[error.code].grpc_status]
    return code, _cut(error.message, MOST_STATUS_TEXT), ((METADATA_KEY, message_of(error).SerializeToString()),)


def message_of(error: FederationError) -> Error:
    """The wire form, cut to what metadata can carry."""
    text = _cut(error.message, MOST_MESSAGE)
    details, room = {}, MOST_MESSAGE + MOST_DETAILS - len(text.encode())
    for key, value in error.details.items():
        room -= len(key.encode()) + len(value.encode())
        if room >= 0:
            details[key] = value
    return Error(
        code=error.code.value,
        message=text,
        retryable=error.retryable,
        definite=error.definite,
        help=_cut(error.help, MOST_STATUS_TEXT),
        details=details,
    )


def error_of(message: Error) -> FederationError:
    """The error that a message describes. A code that this version does not know becomes a plain FederationError."""
    try:
        kind = BY_CODE[Code(message.code)]
    except ValueError:
        kind = FederationError
    error = kind(message.message, help=message.help)
    error.definite = message.definite
    error.details = dict(message.details)
    return error


def error_of_call(failed: grpc.RpcError, doing: str) -> FederationError:
    """The error behind a failed call. `doing` says what was attempted of whom, e.g. `Place at 10.0.0.1:7001`."""
    call: Any = failed  # both APIs' errors answer these three questions, only the asynchronous one says so in its type
    code, text, trailing = call.code(), call.details() or "", call.trailing_metadata() or ()
    for key, value in trailing:
        if key == METADATA_KEY and isinstance(value, bytes):
            try:
                return error_of(Error.FromString(value))
            except DecodeError:
                break
    return _judged(code, text, doing)


def _judged(code: grpc.StatusCode, text: str, doing: str) -> FederationError:
    said = f"{doing}: {_cut(text, MOST_STATUS_TEXT) or code.name}"
    match code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"{doing}: no answer in time")
        case grpc.StatusCode.UNAVAILABLE:
            return Unavailable(said, definite=any(words in text.lower() for words in _NEVER_SENT))
        case grpc.StatusCode.CANCELLED:
            return Unavailable(said, definite=False)
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return Denied(said)
        case grpc.StatusCode.UNIMPLEMENTED:
            return Refused(said, help="The other end does not know this call: it is older, or is no coordinator.")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in text:
            # if it was the answer that is too large for us, the request has been carried out
            return InvalidRequest(said, definite=not text.startswith("CLIENT"))
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Unavailable(said)  # the server takes no more calls now
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.OUT_OF_RANGE:
            return InvalidRequest(said)
        case grpc.StatusCode.NOT_FOUND:
            return NotFound(said)
        case _:
            return FederationError(said, definite=False)


def _cut(text: str, most: int) -> str:
    """`text` in at most `most` bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "..."
