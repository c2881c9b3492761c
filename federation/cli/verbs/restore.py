"""Undo a retire: the same classroom, with its homes, at a new epoch.

fedctl restore atm101
fedctl restore atm101-7k2m9x      one whose name was placed again since, by its uid; the name must be free
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.cli.numbers import seconds
from federation.cli.waiting import wait_for
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", metavar="NAME", help="name or uid")
    parser.add_argument("--no-wait", action="store_true", help="return when accepted")
    parser.add_argument("--timeout", type=seconds, default=600.0, metavar="S", help="seconds to wait (600)")


def run(arguments: argparse.Namespace) -> int:
    """Order it and wait."""
    with connected(arguments) as client:
        answer = client.call("Restore", control_pb2.RestoreRequest(name=arguments.name))
        code = ExitCode.OK
        if not arguments.no_wait and not answer.operation.done:
            code = wait_for(client, arguments.name, answer.operation, arguments.timeout)
        hub = client.call("Get", control_pb2.GetRequest(name=arguments.name)).hub
        output.data(f"{arguments.name}  {hub.status.site or '-'}  {hub.status.phase}  {hub.status.url}")
    return code
