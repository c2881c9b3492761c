"""Versions of fedctl, and of coordinators and register if they answer.

fedctl version
fedctl version -o json
"""

from __future__ import annotations

import argparse
from typing import Any

from federation import __version__
from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import add_document_output, connected
from federation.cli.documents import silence_of
from federation.model.errors import ExitCode, FederationError


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show what is known; nothing is asked that has to answer."""
    status, unheard = None, ""
    try:
        with connected(arguments) as client:
            status = client.call("Status", control_pb2.StatusRequest(), timeout_s=3.0)
    except FederationError as error:
        unheard = error.message
    if arguments.output == "table":
        _show(status, unheard)
    else:
        output.document(_document(status, unheard), arguments.output)
    return ExitCode.OK


def _show(status: control_pb2.StatusResponse | None, unheard: str) -> None:
    output.data(f"fedctl       {__version__}")
    if status is None:
        output.say(f"coordinators: {unheard}")
        return
    silence = silence_of(status)
    output.data(f"coordinator  {status.version}  ({status.coordinator}; {status.leader or 'nobody'} leads)")
    output.data(
        f"register     does not answer; {silence}" if silence else f"register     etcd {status.register_version}"
    )


def _document(status: control_pb2.StatusResponse | None, unheard: str) -> dict[str, Any]:
    """null is what did not answer; `reason` says why."""
    body: dict[str, Any] = {"fedctl": __version__, "coordinator": None, "register": None, "reason": unheard}
    if status is None:
        return body
    coordinator = {"id": status.coordinator, "version": status.version, "leader": status.leader}
    silence = silence_of(status)
    register = None if silence else {"etcd": status.register_version, "revision": status.revision}
    return {**body, "coordinator": coordinator, "register": register, "reason": silence}
