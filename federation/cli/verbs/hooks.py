"""Whom the federation tells what happens by itself (`spec.hooks` of the federation file), and whether that works.

fedctl hooks list
fedctl hooks test
fedctl hooks test chat

`test` has every coordinator of the context call its hooks once, with an event that says that it is a test: whichever of
them leads when a site dies must be able to. Exit code 1 if a call failed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import connected
from federation.cli.contexts import Context, choose_context
from federation.cli.documents import age, marked, plain, tell_staleness
from federation.model.errors import ExitCode, FederationError, InvalidRequest

LONGEST_S = 70.0  # a hook's own limit is a minute at most
Row = tuple[str, str, str, str]


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("action", choices=("list", "test"))
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="test: this hook only")
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="form of the answer")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.action == "test":
        return _test(choose_context(arguments.context), arguments.name, arguments.output)
    if arguments.name:
        raise InvalidRequest("`fedctl hooks list` lists all: leave the name out")
    with connected(arguments) as client:
        answer = client.call("ListHooks", control_pb2.ListHooksRequest())
    tell_staleness(answer.freshness)
    if arguments.output != "table":
        output.document(marked({"items": [plain(item) for item in answer.items]}, answer.freshness), arguments.output)
    elif answer.items:
        output.table(("NAME", "CALLS", "FOR", "LAST CALL", "WAITING", "PROBLEM"), map(_row, answer.items))
    else:
        output.say("no hooks: nobody is told what happens by itself; docs/how-to/hooks.md says how")
    return ExitCode.OK


def _row(hook: control_pb2.HookInfo) -> tuple[str, ...]:
    called = f"{age(hook.called)} ago" if hook.called else "never"
    return hook.name, hook.calls, ",".join(hook.events), called, str(hook.waiting), hook.error


def _test(context: Context, name: str, form: str) -> int:
    rows = [row for address in context.coordinators for row in _tried(context, address, name)]
    failed = any(error for *_rest, error in rows)
    if form != "table":
        items = [{"coordinator": c, "hook": h, "calls": calls, "error": error} for c, h, calls, error in rows]
        output.document({"ok": not failed, "items": items}, form)
    elif rows:
        output.table(("COORDINATOR", "HOOK", "CALLS", "PROBLEM"), rows)
    if not rows:
        output.say("no hooks: `spec.hooks` of the federation file lists them")
    return ExitCode.FAILED if failed else ExitCode.OK


def _tried(context: Context, address: str, name: str) -> Iterator[Row]:
    """What one coordinator could call. Not repeatable: a call that may have been made is not made again."""
    alone = Client(Context(context.name, (address,), context.ca, context.cert, context.key))
    try:
        request = control_pb2.TestHooksRequest(name=name)
        answer = alone.call("TestHooks", request, timeout_s=LONGEST_S, repeatable=False)
        yield from ((answer.coordinator, tried.name, tried.calls, tried.error) for tried in answer.items)
    except FederationError as error:
        yield address, name, "", error.message
    finally:
        alone.close()
