"""Follow classrooms as they change, until Ctrl-C.

fedctl watch
fedctl watch atm101
"""

from __future__ import annotations

import argparse
import json

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.cli.documents import hub_document, row, tell_staleness
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="one classroom; default: all")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="a line or a document each")


def run(arguments: argparse.Namespace) -> int:
    """Follow."""
    with connected(arguments) as client:
        # news do not say how old they are: who has lost the register is asked last from here on
        tell_staleness(client.call("ListSites", control_pb2.ListSitesRequest()).freshness)
        for news in client.stream("Watch", control_pb2.WatchRequest(name=arguments.name)):
            if arguments.output == "json":
                output.data(json.dumps({**hub_document(news.hub), "removed": news.removed}))
            elif news.removed:
                output.data(f"{news.hub.metadata.name}  gone")
            else:
                name, site, phase, epoch, url, *_rest = row(news.hub)
                operation = news.hub.status.operation
                doing = "" if operation.done else f"  {operation.kind}: {operation.step} {operation.waiting_for}"
                output.data(f"{name}  {site or '-'}  {phase}  {epoch or '-'}  {url or '-'}{doing}")
    return ExitCode.OK
