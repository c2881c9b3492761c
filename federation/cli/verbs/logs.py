"""The log of a hub, or of one student's server, read at the site by its agent.

fedctl logs atm101
fedctl logs atm101 --user s01 --follow
"""

from __future__ import annotations

import argparse
import sys

from federation.api.v1 import control_pb2
from federation.cli.connecting import connected
from federation.cli.numbers import count
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", metavar="HUB")
    parser.add_argument("--user", default="", metavar="U", help="the log of this student's server")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written")
    parser.add_argument("--tail", type=count, default=100, metavar="N", help="begin with the last N lines (100)")


def run(arguments: argparse.Namespace) -> int:
    """Copy the log to standard output."""
    request = control_pb2.LogsRequest(
        name=arguments.name, user=arguments.user, follow=arguments.follow, tail=arguments.tail
    )
    with connected(arguments) as client:
        for answer in client.stream("Logs", request, timeout_s=None if arguments.follow else 30.0):
            sys.stdout.buffer.write(answer.chunk)
            sys.stdout.buffer.flush()
    return ExitCode.OK
