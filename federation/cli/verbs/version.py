"""Versions of fedctl, and of coordinators and register if they answer.

fedctl version
"""

from __future__ import annotations

import argparse

from federation import __version__
from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.cli.documents import silence_of
from federation.model.errors import ExitCode, FederationError


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace) -> int:
    """Show what is known."""
    output.data(f"fedctl       {__version__}")
    try:
        with connected(arguments) as client:
            status = client.call("Status", control_pb2.StatusRequest(), timeout_s=3.0)
    except FederationError as error:
        output.say(f"coordinators: {error.message}")
        return ExitCode.OK
    output.data(f"coordinator  {status.version}  ({status.coordinator}; {status.leader or 'nobody'} leads)")
    silence = silence_of(status)
    output.data(
        f"register     does not answer; {silence}" if silence else f"register     etcd {status.register_version}"
    )
    return ExitCode.OK
