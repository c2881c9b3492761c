"""What a pod gets connections to: asked from a new pod of a namespace with these labels, all at the same time."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from tests.testbed import pods
from tests.testbed.api import Api

LIMIT_S = 3
Target = tuple[str, int]  # address and port


def reached(api: Api, namespace: str, labels: Mapping[str, str], /, **targets: Target) -> set[str]:
    """The names of those targets that answered. A policy that is in force drops packets, so this takes LIMIT_S, and two
    seconds more: rules follow a new pod's address a moment after it has one."""
    body = pods.pod(f"asks-{secrets.token_hex(3)}", _script(targets))
    body["metadata"]["labels"] |= labels
    return set(pods.run(api, namespace, body).split())


def _script(targets: Mapping[str, Target]) -> str:
    asked = [
        f"(timeout {LIMIT_S} nc -w {LIMIT_S} {address} {port} </dev/null >/dev/null 2>&1 && echo {name}) &"
        for name, (address, port) in targets.items()
    ]
    return "\n".join(["sleep 2", *asked, "wait"])
