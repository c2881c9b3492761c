"""Empty a site before work on it: nothing new is placed there, and what is there moves away, class by class.

fedctl drain iu --reason "new switches on Friday"
fedctl drain iu --reason "no new classes here" --keep     place nothing new there, but leave what is there
fedctl uncordon iu                                        open it again

Classes move as `fedctl move` moves them, two at a time, outside their class times and as placement.movable allows, so a
drain takes as long as that; `fedctl get --site iu` shows what is left. Nothing comes back by itself after uncordon.
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
    parser.add_argument("--reason", required=True, metavar="TEXT", help="what others read about it")
    parser.add_argument("--keep", action="store_true", help="only place nothing new there")


def run(arguments: argparse.Namespace) -> int:
    """Order it, and say what becomes of each class."""
    request = control_pb2.SetCordonRequest(
        site=arguments.site, cordoned=True, drain=not arguments.keep, reason=arguments.reason
    )
    with connected(arguments) as client:
        answer = client.call("SetCordon", request)
    what = "cordoned" if arguments.keep else "cordoned, and drained"
    output.data(f"{arguments.site}: {what}" if answer.changed else f"{arguments.site}: was {what} already")
    for note in answer.notes:
        output.say(note)
    output.say(f"`fedctl uncordon {arguments.site}` ends it")
    return ExitCode.OK
