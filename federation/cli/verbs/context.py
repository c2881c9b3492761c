"""List and choose the federation that fedctl talks to.

fedctl context list
fedctl context use local
"""

from __future__ import annotations

import argparse

from federation.cli import output
from federation.cli.contexts import load_contexts, use_context
from federation.model.errors import ExitCode, InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("action", choices=("list", "use"), nargs="?", default="list")
    parser.add_argument("name", nargs="?", default="", metavar="NAME")


def run(arguments: argparse.Namespace) -> int:
    """List or choose."""
    if arguments.action == "use":
        if not arguments.name:
            raise InvalidRequest("`fedctl context use` needs a name")
        use_context(arguments.name)
    current, contexts = load_contexts()
    rows = [("*" if c.name == current else "", c.name, ",".join(c.coordinators)) for c in contexts.values()]
    output.table(("CURRENT", "NAME", "COORDINATORS"), rows)
    return ExitCode.OK
