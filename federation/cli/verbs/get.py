"""List classrooms, or show some.

fedctl get                        all that are not retired
fedctl get atm101 -o json         one, as a document
fedctl get -o wide --site iu      more columns, only those at iu
fedctl get -l semester=fall-2026  only those with this label
fedctl get --retired              also retired ones; NAME may be the UID of one whose name was placed again
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli.connecting import add_output, connected
from federation.cli.documents import show_hubs
from federation.cli.listing import all_hubs
from federation.model.errors import InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="classrooms; default: all")
    parser.add_argument("--site", default="", help="only those at this site")
    parser.add_argument("-l", "--label", action="append", default=[], metavar="KEY=VALUE", help="only those with it")
    parser.add_argument("--retired", action="store_true", help="also those that were retired")
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show."""
    with connected(arguments) as client:
        if arguments.names:
            answers = [client.call("Get", control_pb2.GetRequest(name=name)) for name in arguments.names]
            oldest = max((answer.freshness for answer in answers), key=lambda freshness: freshness.age_s)
            show_hubs([answer.hub for answer in answers], arguments.output, oldest, single=True)
            return 0
        labels = dict(_pair(text) for text in arguments.label)
        request = control_pb2.ListRequest(labels=labels, site=arguments.site, retired=arguments.retired)
        hubs, freshness = all_hubs(client, request)
        if arguments.site and not hubs:  # nothing is there; NotFound if there is no such site at all
            client.call("ListSites", control_pb2.ListSitesRequest(name=arguments.site))
        show_hubs(hubs, arguments.output, freshness, single=False, uids=arguments.retired)
    return 0


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"label {text!r}: KEY=VALUE is needed, e.g. semester=fall-2026")
    return key, value
