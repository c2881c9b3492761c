"""Rehearse a failover: move a class to its standby and back, and keep what an outage would have cost.

fedctl drill                                   all drills: when, outcome, RTO, RPO
fedctl drill atm101                            now, outside meetings and not within an hour before one
fedctl drill atm101 --at 2026-11-30T06:00      then; without a zone the time is this machine's
fedctl drill atm101 --cancel                   take the order back, or turn it round before the standby has the class

Both ways are planned moves: nothing is lost, the class never runs twice, and it is away for a minute or so each way.
RTO is L of the profile (arithmetic: no rehearsal waits for it) and the seconds that were measured from owned to named at
the standby; RPO is the age of the recorded copy when the hub had stopped. What cannot begin within an hour of its time
is given up, with the reason. Exit code 1: the drill has not passed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from datetime import datetime

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import add_document_output, connected
from federation.cli.documents import list_document, plain, tell_staleness
from federation.cli.numbers import seconds
from federation.model.errors import ExitCode, InvalidRequest

DRAIN_S = 900.0
LOOK_S = 1.0
HEAD = ("CLASS", "WHEN", "FROM", "TO", "OUTCOME", "RTO", "RPO", "AWAY", "WHY")


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="name or uid; without one: list all drills")
    parser.add_argument("--at", type=moment, metavar="TIME", help="when it begins, ISO 8601; default: now")
    parser.add_argument("--now", action="store_true", help="also in a meeting or before one, and wait for nobody")
    parser.add_argument("--anyway", action="store_true", help="also if the class is not armed; the record says so")
    parser.add_argument(
        "--drain", type=seconds, default=DRAIN_S, metavar="S", help="seconds to wait for students who work (900)"
    )
    parser.add_argument("--cancel", action="store_true", help="take the order back")
    parser.add_argument("--no-wait", action="store_true", help="return when accepted, as with --at")
    parser.add_argument("--timeout", type=seconds, default=3600.0, metavar="S", help="seconds to wait (3600)")
    add_document_output(parser)


def moment(text: str) -> str:
    """A time as the wire has it; without a zone it is local."""
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, e.g. 2026-11-30T06:00") from None


def run(arguments: argparse.Namespace) -> int:
    """Order it and wait, or list."""
    if arguments.cancel and (arguments.at or arguments.now or arguments.anyway):
        raise InvalidRequest("--cancel goes with no other option of a drill")
    if not arguments.name and (arguments.cancel or arguments.at or arguments.now or arguments.anyway):
        raise InvalidRequest("which class?", help="`fedctl drill NAME`; without a name all drills are listed.")
    with connected(arguments) as client:
        if not arguments.name:
            return _list(client, arguments.output)
        if arguments.cancel:
            return _cancel(client, arguments.name)
        request = control_pb2.DrillRequest(
            name=arguments.name,
            at=arguments.at or "",
            now=arguments.now,
            anyway=arguments.anyway,
            drain_s=arguments.drain,
        )
        drill = client.call("Drill", request).drill
        if arguments.at or arguments.no_wait:
            output.say(f"{arguments.name}: a drill is ordered for {drill.at}; `fedctl drill` shows what became of it")
            _show([drill], arguments.output)
            return ExitCode.OK
        over = _follow(client, drill, arguments.timeout)
        _show([over], arguments.output)
    if not over.outcome:
        output.say(f"{arguments.name}: not over after {arguments.timeout:g} s; it goes on")
        return ExitCode.TIMED_OUT
    return ExitCode.OK if over.outcome == "passed" else ExitCode.FAILED


def _list(client: Client, form: str) -> int:
    answer = client.call("ListDrills", control_pb2.ListDrillsRequest())
    tell_staleness(answer.freshness)
    if answer.items or form != "table":
        _show(answer.items, form)
    else:
        output.say("no class was ever rehearsed; `fedctl drill NAME` does it")
    return ExitCode.OK


def _cancel(client: Client, name: str) -> int:
    answer = client.call("CancelDrill", control_pb2.CancelDrillRequest(name=name))
    said = f"the drill of {answer.drill.at} is cancelled" if answer.changed else "no drill is ordered or under way"
    output.data(f"{name}: {said}")
    return ExitCode.OK


def _follow(client: Client, drill: control_pb2.Drill, timeout_s: float) -> control_pb2.Drill:
    """Until it is over, or our time is; whatever coordinator answers."""
    until, shown = time.monotonic() + timeout_s, 0  # noqa: TID251 - a person's patience, not the product's logic
    while True:
        answer = client.call("ListDrills", control_pb2.ListDrillsRequest(name=drill.hub))
        drill = next((item for item in answer.items if item.id == drill.id), drill)
        steps = [(drill.standby, step) for step in drill.there] + [(drill.site, step) for step in drill.back]
        for to, step in steps[shown:]:
            output.clear_line()
            output.say(f"{drill.name}  {step.seconds:6.1f} s  to {to}  {step.step.ljust(9)} {step.message}")
        shown = max(shown, len(steps))
        if drill.outcome or time.monotonic() > until:  # noqa: TID251
            output.end_line()
            return drill
        if drill.waiting_for:
            output.line(f"{drill.name}           waiting: {drill.waiting_for}")
        time.sleep(LOOK_S)


def _show(drills: Iterable[control_pb2.Drill], form: str) -> None:
    if form == "table":
        output.table(HEAD, map(row, drills))
        return
    output.document(
        list_document({"apiVersion": "hubfed/v1", "kind": "Drill", **plain(drill)} for drill in drills), form
    )


def row(drill: control_pb2.Drill) -> tuple[str, ...]:
    """One line of the list: times in UTC, measured seconds where there are any."""
    when = (drill.began or drill.at)[:16].replace("T", " ")
    costs = drill.costs
    why = drill.reason or ("" if drill.outcome else drill.waiting_for)
    return (
        drill.name,
        when,
        drill.site,
        drill.standby,
        drill.outcome or ("under way" if drill.began else "ordered"),
        f"{costs.rto_s:.0f} s" if costs.HasField("rto_s") else "",
        f"{costs.rpo_s:.0f} s" if costs.HasField("rpo_s") else "",
        f"{costs.away_s:.0f} s" if costs.HasField("away_s") else "",
        "; ".join(filter(None, (why, *(f"not armed: {reason}" for reason in drill.unarmed)))),
    )
