"""Place classrooms, or apply changed files, and wait until they serve.

  fedctl place atm101.yaml              place it; placed already and unchanged: nothing happens
  fedctl place *.yaml --no-wait         several; return as soon as all are accepted
  fedctl place atm101.yaml --plan       show what would happen and change nothing

All files are checked first, here and by a coordinator; if one has an error, nothing is written. `fedctl get NAME -o yaml`
gives a file that says which generation it was taken from; if the live class is newer it is refused (exit 4), unless with
--overwrite. A change that restarts the hub waits for the end of a running class, unless with --now. Ctrl-C stops the
waiting, not the placing.
"""

from __future__ import annotations

import argparse
from random import SystemRandom
from uuid import uuid4

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import connected
from federation.cli.files import classroom_message, read_checked
from federation.cli.numbers import seconds
from federation.cli.planning import plan_all, refuse_conflicts
from federation.cli.verbs.plan import show_plan
from federation.cli.waiting import wait_for
from federation.core.passwords import draw_password
from federation.model.classroom import Classroom
from federation.model.errors import ExitCode
from federation.model.files.finding import Located


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="classroom files")
    parser.add_argument("--plan", action="store_true", help="show what would happen, change nothing")
    parser.add_argument("--no-wait", action="store_true", help="return when accepted")
    parser.add_argument("--now", action="store_true", help="do not wait for a gap between meetings")
    parser.add_argument("--overwrite", action="store_true", help="apply although the live one is newer than the file")
    parser.add_argument("--timeout", type=seconds, default=600.0, metavar="S", help="seconds to wait (600)")


def run(arguments: argparse.Namespace) -> int:
    """Check all, place all, wait for all."""
    classrooms = read_checked(arguments.files)
    if classrooms is None:
        return ExitCode.BAD_INPUT
    with connected(arguments) as client:
        plans = plan_all(client, classrooms)
        if plans is None:
            return ExitCode.BAD_INPUT
        if arguments.plan:
            for classroom, plan in zip(classrooms, plans, strict=True):
                show_plan(classroom.value.name, plan)
        if refuse_conflicts(plans, overwrite=arguments.overwrite):
            return ExitCode.CONFLICT
        if arguments.plan:
            return ExitCode.OK
        placed = [_place(client, *both, arguments) for both in zip(classrooms, plans, strict=True)]
        if arguments.no_wait:
            return ExitCode.OK
        codes = [
            wait_for(client, answer.hub.metadata.name, answer.operation, arguments.timeout)
            for answer in placed
            if not answer.operation.done
        ]
        for answer in placed:
            _show_result(client, answer)
        return max(codes, default=ExitCode.OK)


def _place(
    client: Client, classroom: Located[Classroom], plan: control_pb2.PlanResponse, arguments: argparse.Namespace
) -> control_pb2.PlaceResponse:
    message = classroom_message(classroom.value)
    if plan.exists and plan.differences:
        show_plan(message.name, plan)
    request = control_pb2.PlaceRequest(
        classroom=message,
        request_id=str(uuid4()),
        based_on_revision=plan.live_revision,
        based_on_generation=classroom.generation,
        overwrite=arguments.overwrite,
        now=arguments.now,
        offered_password=draw_password(SystemRandom()),
    )
    answer: control_pb2.PlaceResponse = client.call("Place", request)
    if not answer.changed:
        output.say(f"{message.name}: unchanged")
    for name, value in answer.generated.items():
        output.say(f"{message.name}: {name} made for this class, shown only now: {value}")
    return answer


def _show_result(client: Client, answer: control_pb2.PlaceResponse) -> None:
    name = answer.hub.metadata.name
    hub = client.call("Get", control_pb2.GetRequest(name=name)).hub
    output.data(f"{name}  {hub.status.site or '-'}  {hub.status.phase}  {hub.status.url}")
