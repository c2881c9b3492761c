"""Whether a pod gets a connection: asked from a new pod of a namespace with these labels."""

from __future__ import annotations

import secrets

from tests.testbed import pods
from tests.testbed.api import Api

OPEN, CLOSED = "open", "closed"
LIMIT_S = 3


def reaches(api: Api, namespace: str, address: str, port: int, /, **labels: str) -> str:
    """OPEN or CLOSED. A policy that is in force drops packets, so CLOSED takes LIMIT_S. Rules follow a new pod's address
    a moment after it has one, so the pod waits until it has been there for so long."""
    body = pods.pod(f"asks-{secrets.token_hex(3)}", _script(address, port))
    body["metadata"]["labels"] |= labels
    return pods.run(api, namespace, body).strip()


def _script(address: str, port: int) -> str:
    asked = f"timeout {LIMIT_S} nc -w {LIMIT_S} {address} {port} </dev/null >/dev/null 2>&1"
    return f"sleep 2; {asked} && echo {OPEN} || echo {CLOSED}"
