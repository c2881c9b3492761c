"""Set, list and remove secrets. A value is sealed to the sites' agents as it arrives; the register never holds it.

fedctl secret set oauth-atm101 --from-file secret.txt
printf %s "$TOKEN" | fedctl secret set oauth-atm101
fedctl secret list
fedctl secret rm oauth-atm101

A hub restarts when the value of a secret that it uses changes (running servers live on). A class that meets keeps the
former value until its meeting ends, unless with --now; the answer says what happens to each class and when.
"""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from pathlib import Path

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import connected
from federation.cli.documents import list_document, secret_document
from federation.model.errors import ExitCode, InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments. There is none for the value: arguments are seen by everybody on the machine."""
    parser.add_argument("action", choices=("set", "list", "rm"))
    parser.add_argument("name", nargs="?", default="", metavar="NAME")
    parser.add_argument("--from-file", type=Path, metavar="FILE", help="the value is this file's content")
    parser.add_argument("--site", action="append", default=[], help="only for this site (repeatable); default: all")
    parser.add_argument("--now", action="store_true", help="do not wait for the end of a running class")
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="form of the list")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.action != "list" and not arguments.name:
        raise InvalidRequest(f"`fedctl secret {arguments.action}` needs a name")
    with connected(arguments) as client:
        if arguments.action == "list":
            return _list(client.call("ListSecrets", control_pb2.ListSecretsRequest()), arguments.output)
        if arguments.action == "rm":
            client.call("RemoveSecret", control_pb2.RemoveSecretRequest(name=arguments.name), repeatable=False)
            output.data(f"{arguments.name}: removed")
            return ExitCode.OK
        request = control_pb2.SetSecretRequest(
            name=arguments.name, value=_value(arguments), sites=arguments.site, now=arguments.now
        )
        answer = client.call("SetSecret", request)
        output.data(f"{arguments.name}: sealed to {', '.join(answer.secret.sites)}")
        for note in answer.notes:
            output.say(note)
    return ExitCode.OK


def _list(answer: control_pb2.ListSecretsResponse, form: str) -> int:
    if form != "table":
        output.document(list_document(map(secret_document, answer.items)), form)
    else:
        rows = [(s.name, ",".join(s.sites), ",".join(s.used_by), s.changed, s.actor) for s in answer.items]
        output.table(("NAME", "SITES", "USED BY", "CHANGED", "BY"), rows)
    return ExitCode.OK


def _value(arguments: argparse.Namespace) -> bytes:
    if arguments.from_file is not None:
        try:
            content: bytes = arguments.from_file.read_bytes()
        except OSError as error:
            raise InvalidRequest(f"cannot read {arguments.from_file}: {error.strerror}") from error
        return content.rstrip(b"\r\n")
    if sys.stdin.isatty():
        return getpass(f"value of {arguments.name}: ").encode()
    return sys.stdin.buffer.read().rstrip(b"\r\n")
