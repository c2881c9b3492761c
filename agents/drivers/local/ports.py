"""Free ports on 127.0.0.1, outside the range from which the kernel takes ports for outgoing connections."""

from __future__ import annotations

import secrets
import socket

from federation.model.errors import Unavailable

FIRST, LAST = 20_000, 32_000
TRIES = 200


def free_ports(count: int, host: str = "127.0.0.1", taken: frozenset[int] = frozenset()) -> tuple[int, ...]:
    """`count` different ports that could be bound just now and are not in `taken`. Unavailable if there are too few."""
    found: set[int] = set()
    for _ in range(TRIES):
        port = FIRST + secrets.randbelow(LAST - FIRST)
        if port not in taken and port not in found and can_bind(port, host):
            found.add(port)
        if len(found) == count:
            return tuple(found)
    raise Unavailable(f"no {count} free ports between {FIRST} and {LAST} on {host}")


def can_bind(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
