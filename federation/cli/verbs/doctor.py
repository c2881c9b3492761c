"""Say what is well and what is not: coordinators, leader, register, sites, classrooms, hooks. Exit code 1: some is red.

fedctl doctor
fedctl doctor atm101       whether another site could take this class over now, item by item, and what to do
fedctl doctor -o json      items of state (ok, note, red), what and why; for a class also todo

For a class it asks the leader, and the standby whether the newest copy of the homes opens there: nothing is moved. Room
is counted twice: for this class alone, and for all armed classes of its site together, those needed most first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import add_document_output, connected
from federation.cli.contexts import Context, choose_context
from federation.cli.documents import age, marked, silence_of, tell_staleness
from federation.cli.listing import all_hubs
from federation.core.conditions import UNWRITABLE
from federation.model.errors import ExitCode, FederationError
from federation.runtime.etcd_process import UNSAFE

Line = tuple[str, str, str]  # ok | note | RED, what, why
QUIET = {"Serving", "NameConverged"}
READINESS_S = 70.0  # the standby may take a minute to open the copy


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="only this classroom: its readiness")
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, or at one class."""
    if arguments.name:
        return _readiness(arguments)
    context = choose_context(arguments.context)
    lines = list(_coordinators(context))
    client = Client(context)
    try:
        lines += _register(client)
        lines += _sites(client)
        lines += _room(client)
        lines += _classrooms(client)
        lines += _hooks(client)
    except FederationError as error:
        lines.append(("RED", "federation", f"{error.message} {error.help}"))
    finally:
        client.close()
    red = any(state == "RED" for state, _what, _why in lines)
    if arguments.output == "table":
        output.table(("STATE", "WHAT", "WHY"), lines)
    else:
        items = [{"state": state.lower(), "what": what, "why": why} for state, what, why in lines]
        output.document({"ok": not red, "items": items}, arguments.output)
    return ExitCode.FAILED if red else ExitCode.OK


def _readiness(arguments: argparse.Namespace) -> int:
    """One class, in the same shape; what to do comes as a column of its own."""
    with connected(arguments) as client:
        request = control_pb2.ReadinessRequest(name=arguments.name)
        answer = client.call("Readiness", request, timeout_s=READINESS_S)
    tell_staleness(answer.freshness)
    if arguments.output == "table":
        rows = [(_shown(item.state), item.what, item.why, item.todo) for item in answer.items]
        output.table(("STATE", "WHAT", "WHY", "WHAT TO DO"), rows)
        where = (
            f"{answer.standby} could take it over from {answer.site}" if answer.ready else "not ready for a failover"
        )
        output.say(f"{arguments.name}: {where}")
    else:
        items = [{"state": i.state, "what": i.what, "why": i.why, "todo": i.todo} for i in answer.items]
        body = {"ok": answer.ready, "site": answer.site, "standby": answer.standby, "items": items}
        output.document(marked(body, answer.freshness), arguments.output)
    return ExitCode.OK if answer.ready else ExitCode.FAILED


def _room(client: Client) -> Iterator[Line]:
    answer = client.call("Readiness", control_pb2.ReadinessRequest())
    yield from ((_shown(item.state), item.what, item.why) for item in answer.items)


def _hooks(client: Client) -> Iterator[Line]:
    answer = client.call("ListHooks", control_pb2.ListHooksRequest())
    if not answer.items:
        yield "note", "hooks", "there are none: nobody is told of what happens by itself (spec.hooks)"
    for hook in answer.items:
        what = f"hook {hook.name}"
        lost = f"; {hook.given_up} events were never told" if hook.given_up else ""
        waiting = f"; {hook.waiting} events wait" if hook.waiting else ""
        if hook.error:
            yield (
                "RED",
                what,
                f"{hook.calls}: {hook.failures} calls failed, the last {age(hook.called)} ago: {hook.error}{waiting}{lost}",
            )
        elif hook.called:
            yield "ok", what, f"{hook.calls} took the last call, {age(hook.called)} ago{waiting}{lost}"
        else:
            yield "note", what, f"{hook.calls} was never called; `fedctl hooks test` tries it{waiting}"


def _shown(state: str) -> str:
    return "RED" if state == "red" else state


def _coordinators(context: Context) -> Iterator[Line]:
    for address in context.coordinators:
        alone = Client(Context(context.name, (address,), context.ca, context.cert, context.key))
        try:
            status = alone.call("Status", control_pb2.StatusRequest(), timeout_s=3.0)
            what, silence = f"coordinator {status.coordinator}", silence_of(status)
            leads = "leads" if status.leader == status.coordinator else f"follows {status.leader or 'nobody'}"
            if status.register_fault:
                yield "RED", what, f"{address} does not believe its register: {status.register_fault}"
            elif silence:
                yield "RED", what, f"{address} answers, but the register does not answer it; {silence}"
            else:
                yield "ok" if status.leader else "RED", what, f"{address} {leads}"
        except FederationError as error:
            yield "RED", f"coordinator {address}", error.message
        finally:
            alone.close()


def _register(client: Client) -> Iterator[Line]:
    status = client.call("Status", control_pb2.StatusRequest())
    version, silence = status.register_version, silence_of(status)
    if status.register_fault:
        yield "RED", "register", f"{status.register_fault}; `fedctl register status`, then the runbook"
    elif silence:
        yield "RED", "register", f"does not answer; {silence}"
    elif "ALARM" in version:
        yield "RED", "register", version
    elif version in UNSAFE:
        yield "RED", "register", f"etcd {version} can corrupt its data when killed: fine for a demo only"
    else:
        yield "ok", "register", f"etcd {version}, revision {status.revision}"


def _sites(client: Client) -> Iterator[Line]:
    answer = client.call("ListSites", control_pb2.ListSitesRequest())
    for site in answer.items:
        if answer.freshness.stale:  # what was true then may not be now
            yield "note", f"site {site.name}", _unknown(answer.freshness)
            continue
        for condition in site.conditions:
            bad = condition.type == "Ready" and condition.status != "True"
            warn = (condition.type == "Overcommitted") == (condition.status == "True")
            state = "RED" if bad else "note" if warn and condition.type != "Ready" else "ok"
            what = f"site {site.name} {condition.type}={condition.status}"
            yield state, what, condition.message or condition.reason


def _classrooms(client: Client) -> Iterator[Line]:
    hubs, freshness = all_hubs(client, control_pb2.ListRequest())
    if freshness.stale:
        yield "note", "classrooms", f"{_unknown(freshness)}; `fedctl get` shows the last known state"
        return
    for hub in hubs:
        for condition in hub.status.conditions:
            if condition.status == "True" and condition.reason != UNWRITABLE:
                continue
            bad = condition.type in QUIET and condition.status != "True"
            state = "RED" if bad and hub.status.operation.done else "note"
            what = f"classroom {hub.metadata.name} {condition.type}={condition.status}"
            yield state, what, condition.message or condition.reason


def _unknown(freshness: control_pb2.Freshness) -> str:
    return f"unknown: what is known is {freshness.age_s:.0f} s old, for the register does not answer or is not believed"
