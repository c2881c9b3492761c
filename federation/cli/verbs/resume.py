"""Switch automatic moves on again, after `fedctl pause`. Classes are armed within seconds where all else is well.

fedctl resume
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Order it."""
    with connected(arguments) as client:
        answer = client.call("SetPause", control_pb2.SetPauseRequest(paused=False))
    output.data("resumed" if answer.changed else "was not paused")
    return ExitCode.OK
