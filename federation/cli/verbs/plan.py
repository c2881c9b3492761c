"""Show where a classroom would go and what a changed file would change. Nothing is changed.

fedctl plan atm101.yaml
fedctl plan *.yaml -o json
"""

from __future__ import annotations

import argparse
from typing import Any

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import add_document_output, connected
from federation.cli.files import read_checked
from federation.cli.planning import plan_all, refuse_conflicts
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="classroom files")
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask and show."""
    classrooms = read_checked(arguments.files)
    if classrooms is None:
        return ExitCode.BAD_INPUT
    with connected(arguments) as client:
        plans = plan_all(client, classrooms)
    if plans is None:
        return ExitCode.BAD_INPUT
    named = [(classroom.value.name, plan) for classroom, plan in zip(classrooms, plans, strict=True)]
    if arguments.output != "table":
        output.document({"items": [_document(name, plan) for name, plan in named]}, arguments.output)
    else:
        for name, plan in named:
            show_plan(name, plan)
    return ExitCode.CONFLICT if refuse_conflicts(plans, overwrite=False) else ExitCode.OK


def _document(name: str, plan: control_pb2.PlanResponse) -> dict[str, Any]:
    """All keys, also where there is nothing to say."""
    assignment = plan.assignment
    return {
        "name": name,
        "exists": plan.exists,
        "feasible": plan.feasible,
        "conflict": plan.conflict,
        "changes": [{"path": d.path, "live": d.live, "wanted": d.wanted, "effect": d.effect} for d in plan.differences],
        "assignment": {
            "site": assignment.site,
            "standby": assignment.standby,
            "reason": assignment.reason,
            "verdicts": [{"site": v.site, "fits": v.fits, "reason": v.reason} for v in assignment.verdicts],
        },
    }


def show_plan(name: str, plan: control_pb2.PlanResponse) -> None:
    """What would change, and where it would go with every site's reason."""
    if plan.exists and not plan.differences:
        output.data(f"{name}: unchanged")
    elif plan.exists:
        output.data(f"{name}: changes")
        for change in plan.differences:
            output.data(f"  {change.path}: {change.live or '-'} -> {change.wanted or '-'}  ({change.effect})")
    assignment = plan.assignment
    if not plan.feasible:
        output.data(f"{name}: {assignment.reason}")
    else:
        standby = f", standby {assignment.standby}" if assignment.standby else ""
        output.data(f"{name}: {assignment.site}{standby}: {assignment.reason}")
    for verdict in assignment.verdicts:
        output.data(f"  {verdict.site}: {verdict.reason}")
