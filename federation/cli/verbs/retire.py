"""End a classroom. Its hub is stopped and its name removed; its homes are kept, and `fedctl restore` undoes it.

fedctl retire atm101
fedctl retire atm101 --delete-homes --yes-delete atm101      also delete the students' files, for ever

NAME may be a uid (`fedctl get --retired`): so the homes of a class whose name was placed again since can be deleted.
"""

from __future__ import annotations

import argparse
import sys

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.cli.numbers import seconds
from federation.cli.waiting import wait_for
from federation.model.classroom_seat import StorageType
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", metavar="NAME", help="name or uid")
    parser.add_argument("--delete-homes", action="store_true", help="delete the students' files; needs the name typed")
    parser.add_argument("--yes-delete", default="", metavar="NAME", help="the name, for scripts")
    parser.add_argument("--no-wait", action="store_true", help="return when accepted")
    parser.add_argument("--timeout", type=seconds, default=300.0, metavar="S", help="seconds to wait (300)")


def run(arguments: argparse.Namespace) -> int:
    """Order it and wait."""
    typed = arguments.yes_delete
    if arguments.delete_homes and not typed and sys.stdin.isatty():
        output.say(f"This deletes every file of every student of {arguments.name}. Type the name to go on:")
        typed = sys.stdin.readline().strip()
    request = control_pb2.RetireRequest(name=arguments.name, delete_homes=arguments.delete_homes, confirm_name=typed)
    with connected(arguments) as client:
        answer = client.call("Retire", request)
        code = ExitCode.OK
        if not arguments.no_wait and not answer.operation.done:
            code = wait_for(client, arguments.name, answer.operation, arguments.timeout)
        hub = client.call("Get", control_pb2.GetRequest(name=arguments.name)).hub
        if arguments.delete_homes:
            output.data(f"{arguments.name}: retired with its homes")
            if hub.spec.storage.type != StorageType.NONE:
                folder = f"folders {hub.metadata.uid} in the sites' store of copies"
                output.say(f"copies of them, if any were made, are not deleted by this: {folder}")
        else:
            output.data(f"{arguments.name}: retired; {_homes(hub, hub.status.homes or answer.homes)}")
    return code


def _homes(hub: types_pb2.Hub, where: str) -> str:
    if not where and not hub.status.epoch.era:
        return "it has no homes: it never ran at a site"
    days, place = hub.spec.term.keep_homes_days, where or "a place that its site has not told yet"
    return f"homes are kept at least {days} days in {place}; nothing deletes them yet"
