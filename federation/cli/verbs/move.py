"""Move a classroom to another site, with everything in it, or give such a move up.

fedctl move atm101                        to its standby
fedctl move atm101 --to iu --drain 900    wait for students who work, at most 15 min
fedctl move atm101 --now                  also in a meeting; servers are stopped at once, files are copied first
fedctl move atm101 --cancel               while it has not reached the other site

From the beginning nobody new is let in, and whoever works reads so on the hub's pages. When nobody works any more, or
the limit is over, the hub is stopped, copied once more, and started at the other site under the same name. Nothing is
stopped before the other site could take the class, and until it owns the class the move can be given up; if the other
site fails meanwhile, the class goes on where it was, by itself. In a meeting it waits for the end. The same order
once more changes nothing; with --now, a shorter --drain or --accept-loss it gives that to the move that is under way.
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import connected
from federation.cli.numbers import seconds
from federation.cli.waiting import wait_for
from federation.model.errors import ExitCode, InvalidRequest

DRAIN_S = 900.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", metavar="NAME", help="name or uid")
    parser.add_argument("--to", default="", metavar="SITE", dest="site", help="where to; default: its standby")
    parser.add_argument("--reason", default="", metavar="TEXT", help="what others read about it")
    parser.add_argument(
        "--drain", type=seconds, default=DRAIN_S, metavar="S", help="seconds to wait for students who work (900)"
    )
    parser.add_argument("--now", action="store_true", help="also in a meeting, and wait for nobody")
    parser.add_argument(
        "--accept-loss", action="store_true", help="go on with an older copy if the final one cannot be made"
    )
    parser.add_argument("--cancel", action="store_true", help="give up a move that is under way")
    parser.add_argument("--no-wait", action="store_true", help="return when accepted")
    parser.add_argument("--timeout", type=seconds, default=3600.0, metavar="S", help="seconds to wait (3600)")


def run(arguments: argparse.Namespace) -> int:
    """Order it and wait."""
    if arguments.cancel and (arguments.site or arguments.now or arguments.accept_loss):
        raise InvalidRequest("--cancel goes with no other option of a move")
    with connected(arguments) as client:
        if arguments.cancel:
            answer = client.call("CancelMove", control_pb2.CancelMoveRequest(name=arguments.name))
            if not answer.changed:
                output.data(f"{arguments.name}: no move is under way")
                return ExitCode.OK
        else:
            request = control_pb2.MoveRequest(
                name=arguments.name,
                to=arguments.site,
                reason=arguments.reason,
                now=arguments.now,
                drain_s=arguments.drain,
                accept_loss=arguments.accept_loss,
            )
            answer = client.call("Move", request)
        return follow(client, arguments, answer)


def follow(client: Client, arguments: argparse.Namespace, answer: control_pb2.MoveResponse) -> int:
    """Wait, and say where it is now. FAILED if it was to go somewhere and is not there."""
    code = ExitCode.OK
    if not arguments.no_wait and not answer.operation.done:
        code = wait_for(client, arguments.name, answer.operation, arguments.timeout)
    hub = client.call("Get", control_pb2.GetRequest(name=arguments.name)).hub
    output.data(f"{arguments.name}  {hub.status.site or '-'}  {hub.status.phase}  {hub.status.url}")
    stayed = code is ExitCode.OK and not arguments.no_wait and stayed_because(hub)
    if stayed and not getattr(arguments, "cancel", False):
        output.say(f"{arguments.name}: {stayed}")
        return ExitCode.FAILED
    return code


def stayed_because(hub: types_pb2.Hub) -> str:
    """Why the newest move did not take place; empty if it did."""
    records = hub.status.operation.history
    return next((record.message for record in records if record.message.startswith("it stays at ")), "")
