"""Switch automatic moves off: before work that will look like an outage. Classes run on, and none is moved by itself.

fedctl pause --reason "storage work at tacc until noon"
fedctl resume

While it lasts no class is protected against an outage of its site; `fedctl describe` shows the reason with each.
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--reason", required=True, metavar="TEXT", help="what others read meanwhile")


def run(arguments: argparse.Namespace) -> int:
    """Order it."""
    with connected(arguments) as client:
        answer = client.call("SetPause", control_pb2.SetPauseRequest(paused=True, reason=arguments.reason))
    output.data("paused: no class is moved by itself" if answer.changed else "was paused already")
    output.say("`fedctl resume` ends it")
    return ExitCode.OK
