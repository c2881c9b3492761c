"""Bring classrooms of a dead site up at another one, by your word that nothing of them runs there any more.

fedctl failover atm101 --vouch iu --reason "power is out until Monday"
fedctl failover --all --vouch iu --reason "the machine room burns"

Armed classes (Protected=True) need no such word: they are taken over by themselves. This is for standing ones, and for
when automatic moves are paused or frozen. Nobody but you can know that a standing class does not run on at a silent site:
if it does, students work in two copies. So the site's name has to be typed after --vouch, and a site that renewed its
lease a moment ago is refused: `fedctl move` moves its classes with everything in them.
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import connected
from federation.cli.listing import all_hubs
from federation.cli.numbers import seconds
from federation.cli.verbs.move import follow
from federation.model.errors import CATALOGUE, ExitCode, FederationError, InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="name or uid")
    parser.add_argument("--all", action="store_true", help="every class of the vouched site")
    parser.add_argument("--vouch", required=True, metavar="SITE", help="the dead site: nothing runs there, you say")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="how you know")
    parser.add_argument("--to", default="", metavar="SITE", dest="site", help="where to; default: its standby")
    parser.add_argument("--accept-loss", action="store_true", help="also where the newest copy is old")
    parser.add_argument("--no-wait", action="store_true", help="return when accepted")
    parser.add_argument("--timeout", type=seconds, default=900.0, metavar="S", help="seconds to wait for each (900)")


def run(arguments: argparse.Namespace) -> int:
    """Order each, then wait for each; one that is refused keeps no other one from being ordered."""
    if bool(arguments.names) is arguments.all:
        raise InvalidRequest("give the names of classes, or --all for every class of the vouched site")
    code = ExitCode.OK
    with connected(arguments) as client:
        ordered = []
        for name in arguments.names or _names_at(client, arguments.vouch):
            request = control_pb2.FailoverRequest(
                name=name,
                to=arguments.site,
                reason=arguments.reason,
                vouched_site=arguments.vouch,
                accept_loss=arguments.accept_loss,
            )
            try:
                ordered.append((name, client.call("Failover", request)))
            except FederationError as error:
                output.say(f"{name}: {error.message}\n  {error.help}" if error.help else f"{name}: {error.message}")
                code = CATALOGUE[error.code].exit_code
        for name, answer in ordered:
            followed = follow(client, argparse.Namespace(**{**vars(arguments), "name": name}), answer)
            code = code or ExitCode(followed)
    return code


def _names_at(client: Client, site: str) -> list[str]:
    hubs, _freshness = all_hubs(client, control_pb2.ListRequest(site=site))
    return [hub.metadata.name for hub in hubs]
