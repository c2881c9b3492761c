"""What happened, when and by whom.

fedctl events              the newest of everything
fedctl events atm101       of one classroom or site
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import add_document_output, connected
from federation.cli.documents import event_document, list_document, tell_staleness
from federation.cli.numbers import count
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="a classroom or a site; default: all")
    parser.add_argument("--limit", type=count, default=50, help="at most so many (50)")
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show."""
    with connected(arguments) as client:
        answer = client.call("Events", control_pb2.EventsRequest(name=arguments.name, limit=arguments.limit))
    tell_staleness(answer.freshness)
    if arguments.output != "table":
        output.document(list_document(map(event_document, answer.items), answer.freshness), arguments.output)
    else:
        head = ("AT", "ABOUT", "TYPE", "MESSAGE", "BY")
        output.table(head, [(e.at, e.hub or e.site, e.type, e.message, e.actor) for e in answer.items])
    return ExitCode.OK
