"""List, add and choose the federation that fedctl talks to.

fedctl context list
fedctl context use local
fedctl context add federation.yaml --cert pki/users/ada     addresses from the file; ada.pem, ada.key and ada.ca.pem
"""

from __future__ import annotations

import argparse
from pathlib import Path

from federation.cli import output
from federation.cli.contexts import Context, load_contexts, save_context, use_context
from federation.model.errors import ExitCode, InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("action", choices=("list", "use", "add"), nargs="?", default="list")
    parser.add_argument("name", nargs="?", default="", metavar="NAME|FILE")
    parser.add_argument("--cert", default="", metavar="PATH", help="for add: the user's certificate, without ending")


def run(arguments: argparse.Namespace) -> int:
    """List, add or choose."""
    if arguments.action == "use":
        if not arguments.name:
            raise InvalidRequest("`fedctl context use` needs a name")
        use_context(arguments.name)
    elif arguments.action == "add":
        save_context(_from_file(arguments.name, arguments.cert))
    current, contexts = load_contexts()
    rows = [("*" if c.name == current else "", c.name, ",".join(c.coordinators)) for c in contexts.values()]
    output.table(("CURRENT", "NAME", "COORDINATORS"), rows)
    return ExitCode.OK


def _from_file(file: str, cert: str) -> Context:
    from federation.runtime.settings_files import load_federation  # noqa: PLC0415 - slow to import, and only here

    if not file or not cert:
        raise InvalidRequest("`fedctl context add FILE --cert PATH` needs a federation file and a user's certificate")
    federation = load_federation(Path(file))
    paths = [Path(f"{cert}{ending}").absolute() for ending in (".ca.pem", ".pem", ".key")]
    for path in paths:
        if not path.exists():
            raise InvalidRequest(f"there is no {path}", help="`fedctl pki issue` makes all three; copy them together.")
    addresses = tuple(one.address for one in federation.spec.coordinators)
    return Context(federation.name, addresses, *map(str, paths))
