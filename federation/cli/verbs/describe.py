"""Everything about one classroom: true conditions with reasons, the operation step by step, every site's verdict.

fedctl describe atm101
"""

from __future__ import annotations

import argparse

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.connecting import add_document_output, connected
from federation.cli.documents import age, epoch_text, hub_document, marked, plain, tell_staleness
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", metavar="NAME", help="name or uid")
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show."""
    with connected(arguments) as client:
        answer = client.call("Describe", control_pb2.DescribeRequest(name=arguments.name))
    tell_staleness(answer.freshness)
    if arguments.output != "table":
        body = {**hub_document(answer.hub), "events": [plain(event) for event in answer.events]}
        if answer.HasField("drill"):
            body["drill"] = plain(answer.drill)
        output.document(marked(body, answer.freshness), arguments.output)
        return ExitCode.OK
    hub = answer.hub
    _facts(hub)
    _section("Conditions", _conditions(hub))
    _section(f"Operation {hub.status.operation.id}", _operation(hub.status.operation))
    _section("Placement", _placement(hub.status.assignment))
    _section("Unsent work of earlier owners", _unsent(hub))
    _section("Rehearsal", _rehearsal(answer.drill))
    _section("Not yet in effect", [f"  {path}" for path in hub.status.not_yet_in_effect])
    _section("Events", [f"  {e.at}  {e.type.ljust(18)} {e.message}  ({e.actor})" for e in answer.events])
    return ExitCode.OK


def _facts(hub: types_pb2.Hub) -> None:
    status, metadata = hub.status, hub.metadata
    labels = ", ".join(f"{key}={value}" for key, value in sorted(metadata.labels.items()))
    facts = (
        ("Name", f"{metadata.name}  ({metadata.uid})"),
        ("Labels", labels),
        ("Phase", status.phase),
        ("Site", f"{status.site or '-'}  epoch {epoch_text(status.epoch) or '-'}  {status.mode}"),
        ("URL", status.url),
        ("Generation", f"{metadata.generation}, serving {status.observed_generation}; by {metadata.actor}"),
        ("Age", age(metadata.created)),
        ("Students", f"{status.students}, {status.servers} servers run, {status.outdated_servers} of an older spec"),
        ("Homes", status.homes),
    )
    for name, value in facts:
        if value:
            output.data(f"{(name + ':').ljust(13)}{value}")


def _conditions(hub: types_pb2.Hub) -> list[str]:
    return [f"  {c.type.ljust(15)}{c.status.ljust(9)}{c.reason.ljust(17)}{c.message}" for c in hub.status.conditions]


def _operation(operation: types_pb2.Operation) -> list[str]:
    lines = [f"  {r.seconds:7.1f} s  {r.step.ljust(9)} {r.message}" for r in operation.history]
    if operation.waiting_for and not operation.done:
        lines.append(f"             waiting: {operation.waiting_for}")
    return lines


def _placement(assignment: types_pb2.Assignment) -> list[str]:
    if not assignment.site:
        return []
    lines = [f"  {assignment.site}: {assignment.reason}; standby {assignment.standby or 'none'}"]
    return lines + [f"    {v.site}: {v.reason}" for v in assignment.verdicts]


def _unsent(hub: types_pb2.Hub) -> list[str]:
    lines = []
    for work in hub.status.unsent:
        size = f"{work.files} files of {work.students} students; " if work.students else ""
        lines.append(f"  {work.site.ljust(7)} {work.taken_over}  {work.step.ljust(7)} {size}{work.message}")
    return lines


def _rehearsal(drill: control_pb2.Drill) -> list[str]:
    """The one that is ordered or under way, else the newest."""
    if not drill.id:
        return []
    when = f"began {drill.began}" if drill.began else f"for {drill.at}"
    numbers = (("RTO", "rto_s"), ("RPO", "rpo_s"), ("away", "away_s"))
    measured = [f"{name} {getattr(drill.costs, key):.0f} s" for name, key in numbers if drill.costs.HasField(key)]  # type: ignore[arg-type]
    state = drill.outcome or ("under way" if drill.began else "ordered")
    why = drill.reason or (f"waiting: {drill.waiting_for}" if drill.waiting_for else "")
    return ["  " + "; ".join(filter(None, (f"{state}, {when}, by {drill.actor}", *measured, why)))]


def _section(title: str, lines: list[str]) -> None:
    if lines:
        output.data(f"\n{title}:")
        for line in lines:
            output.data(line.rstrip())
