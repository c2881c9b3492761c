"""Lists of messages that do not fit into one: gRPC refuses what is larger than the limit of the channel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class Sized(Protocol):
    """Any message."""

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
        """Its size on the wire."""
        ...


M = TypeVar("M", bound=Sized)


def in_parts(messages: Iterable[M], most_bytes: int) -> list[list[M]]:
    """In order, each part of at most `most_bytes` or of one message; no part for no messages."""
    parts: list[list[M]] = []
    size = most_bytes
    for message in messages:
        size += message.ByteSize()
        if size > most_bytes:
            parts.append([])
            size = message.ByteSize()
        parts[-1].append(message)
    return parts
