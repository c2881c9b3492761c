"""Open a site again that was drained or cordoned. What moved away stays where it is; `fedctl move` brings it back.

fedctl uncordon iu
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("site", metavar="SITE", help="a site")


def run(arguments: argparse.Namespace) -> int:
    """Order it."""
    with connected(arguments) as client:
        answer = client.call("SetCordon", control_pb2.SetCordonRequest(site=arguments.site, cordoned=False))
    output.data(f"{arguments.site}: open for hubs again" if answer.changed else f"{arguments.site}: was open already")
    return ExitCode.OK
