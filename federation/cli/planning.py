"""Asking a coordinator about all files before anything is sent: what is wrong with any of them is told at once."""

from __future__ import annotations

from collections.abc import Sequence

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.files import classroom_message, tell
from federation.model.classroom import Classroom
from federation.model.errors import InvalidRequest
from federation.model.files.finding import Finding, Located
from federation.model.files.travel import located_findings


def plan_all(client: Client, classrooms: Sequence[Located[Classroom]]) -> list[control_pb2.PlanResponse] | None:
    """The plan for each; None if a coordinator finds anything wrong, which is then on standard error."""
    plans: list[control_pb2.PlanResponse] = []
    findings: list[Finding] = []
    more = 0
    for classroom in classrooms:
        request = control_pb2.PlanRequest(
            classroom=classroom_message(classroom.value), based_on_generation=classroom.generation
        )
        try:
            plans.append(client.call("Plan", request))
        except InvalidRequest as error:
            found, missing = located_findings(error.details, classroom)
            if not found:
                raise
            findings += found
            more += missing
    if not findings:
        return plans
    tell(findings, more=more)
    return None


def refuse_conflicts(plans: Sequence[control_pb2.PlanResponse], *, overwrite: bool) -> bool:
    """Whether any live class is newer than its file, which is then said: nothing may be written."""
    conflicts = [] if overwrite else [plan.conflict for plan in plans if plan.conflict]
    for conflict in conflicts:
        output.say(f"error: {conflict}")
    if conflicts:
        output.say("Compare with `fedctl place --plan`; `--overwrite` applies your file all the same.")
    return bool(conflicts)
