"""Follow classrooms as they change, until Ctrl-C.

fedctl watch
fedctl watch atm101
"""

from __future__ import annotations

import argparse
import json
import time

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.cli.documents import hub_document, row, tell_staleness
from federation.cli.waiting import RETRY_S
from federation.model.errors import DeadlineExceeded, ExitCode, Unavailable


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="one classroom; default: all")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="a line or a document each")


def run(arguments: argparse.Namespace) -> int:
    """Follow, at another coordinator if the one that is asked dies or loses the register."""
    shown: dict[str, str] = {}
    with connected(arguments) as client:
        while True:
            # news do not say how old they are: who has lost the register is asked last from here on
            tell_staleness(client.call("ListSites", control_pb2.ListSitesRequest()).freshness)
            try:
                for news in client.stream("Watch", control_pb2.WatchRequest(name=arguments.name)):
                    _show(news, arguments.output, shown)
                return ExitCode.OK  # noqa: TRY300 - the loop's one other way out
            except (Unavailable, DeadlineExceeded) as error:
                output.say(f"{error.message}; asking another coordinator")
                time.sleep(RETRY_S)


def _show(news: control_pb2.WatchResponse, form: str, shown: dict[str, str]) -> None:
    """Unless it is what was shown of this classroom last: another coordinator begins with all of them."""
    name, site, phase, epoch, url, *_rest = row(news.hub)
    if form == "json":
        text = json.dumps({**hub_document(news.hub), "removed": news.removed})
    elif news.removed:
        text = f"{name}  gone"
    else:
        operation = news.hub.status.operation
        doing = "" if operation.done else f"  {operation.kind}: {operation.step} {operation.waiting_for}"
        text = f"{name}  {site or '-'}  {phase}  {epoch or '-'}  {url or '-'}{doing}"
    if shown.get(name) != text:
        shown[name] = text
        output.data(text)
