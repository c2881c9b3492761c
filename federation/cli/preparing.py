"""Preparing a site's cluster: the plan is shown and agreed to, then exactly that plan is ordered, and watched.

The work is the agent's. Leaving, by Ctrl-C or by time-out, leaves it running and says so; the same words find it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.documents import plain
from federation.model.errors import DeadlineExceeded, ExitCode, InvalidRequest, NotLeader, Unavailable

PLAN_S = 180.0
RETRY_S = 1.0
NOTHING = ("keep", "leave")
COLUMNS = ("CHART", "VERSION", "NAMESPACE", "ACTION", "NOW", "VALUES", "WHY")


def prepare(client: Client, site: str, arguments: argparse.Namespace) -> int:
    """Plan, ask, order, watch."""
    plan = _plan(client, site)
    if plan.under_way:
        output.say(f"{site}: this plan is being carried out, as somebody has ordered it")
    elif arguments.output == "table":
        show(plan)
    if arguments.plan:
        if arguments.output != "table":
            output.document(document(site, plan, []), arguments.output)
        return ExitCode.REFUSED if plan.objections else ExitCode.OK
    if plan.objections:
        if arguments.output != "table":
            output.document(document(site, plan, []), arguments.output)
        output.say(f"{site}: nothing was changed, for what is said above")
        return ExitCode.REFUSED
    if not any(item.action not in NOTHING for item in plan.items):
        output.say(f"{site}: there is nothing to do")
        if arguments.output != "table":
            output.document(document(site, plan, []), arguments.output)
        return ExitCode.OK
    if not (plan.under_way or arguments.yes or _agreed(site)):
        output.say(f"{site}: nothing was changed")
        return ExitCode.FAILED
    return _Watch(client, site, plan, arguments).to_the_end()


class _Watch:
    """One order, until it is over."""

    def __init__(self, client: Client, site: str, plan: types_pb2.PreparePlan, arguments: argparse.Namespace) -> None:
        self._client, self._site, self._plan, self._form = client, site, plan, arguments.output
        self._limit_s: float = arguments.timeout
        self._shown: list[tuple[str, str, str]] = []
        self._steps: list[types_pb2.PrepareStep] = []

    def to_the_end(self) -> int:
        until = time.monotonic() + self._limit_s  # noqa: TID251 - a person's patience
        try:
            while True:
                left = until - time.monotonic()  # noqa: TID251
                if left <= 0:
                    return self._left_alone()
                try:
                    other = self._once(left)
                except (Unavailable, NotLeader, DeadlineExceeded) as error:  # whether it goes on is asked once more
                    output.line(f"{self._site}: {error.message}; asking again")
                    time.sleep(min(RETRY_S, max(0.0, until - time.monotonic())))  # noqa: TID251
                    continue
                return self._over() if other is None else self._changed(other)
        except KeyboardInterrupt:
            output.end_line()
            output.say(f"{self._site}: it goes on; `fedctl sites prepare {self._site}` shows how far it is")
            raise

    def _once(self, limit_s: float) -> types_pb2.PreparePlan | None:
        """Order it, or join what carries it out. The plan that is right by now, if that is another one."""
        request = control_pb2.PrepareSiteRequest(site=self._site, apply=True, fingerprint=self._plan.fingerprint)
        for answer in self._client.stream("PrepareSite", request, timeout_s=limit_s):
            if answer.HasField("plan"):
                plan: types_pb2.PreparePlan = answer.plan
                return plan
            self._show(answer.step)
        return None

    def _show(self, step: types_pb2.PrepareStep) -> None:
        mark = (step.chart, step.state, step.message)
        if mark in self._shown:
            return
        self._shown.append(mark)
        self._steps.append(step)
        text = f"{step.chart or self._site}  {step.seconds:6.1f} s  {step.state.ljust(7)} {step.message}".rstrip()
        if step.state == "waiting":
            output.line(text)
        else:
            output.clear_line()
            output.say(text)

    def _over(self) -> int:
        output.clear_line()
        failed = [step for step in self._steps if step.state == "failed"]
        if self._form != "table":
            output.document(document(self._site, self._plan, self._steps), self._form)
        elif not failed:
            output.data(f"{self._site}: prepared")
        if failed:
            output.say(
                f"{self._site}: not prepared; when that is corrected, run it again: it goes on from what is there"
            )
        return ExitCode.FAILED if failed else ExitCode.OK

    def _changed(self, plan: types_pb2.PreparePlan) -> int:
        """An order that was cut off may have been carried out to its end by somebody who came before."""
        output.clear_line()
        if self._steps and not plan.objections and all(item.action in NOTHING for item in plan.items):
            return self._over()
        output.say(f"{self._site}: it is not as it was when the plan was made; the plan by now:")
        if self._form == "table":
            show(plan)
        else:
            output.document(document(self._site, plan, self._steps), self._form)
        output.say(f"{self._site}: run `fedctl sites prepare {self._site}` again, if that is what you want")
        return ExitCode.CONFLICT

    def _left_alone(self) -> int:
        output.end_line()
        output.say(
            f"{self._site}: not over after {self._limit_s:g} s; it goes on, and `fedctl sites prepare {self._site}` "
            "shows how far it is"
        )
        return ExitCode.TIMED_OUT


def show(plan: types_pb2.PreparePlan) -> None:
    """For a person."""
    if plan.items:
        output.table(COLUMNS, map(_row, plan.items))
    for note in plan.notes:
        output.say(f"note: {note}")
    for objection in plan.objections:
        output.say(f"{objection.at}: {objection.wrong}" + (f"\n  {objection.todo}" if objection.todo else ""))


def document(site: str, plan: types_pb2.PreparePlan, steps: list[types_pb2.PrepareStep]) -> dict[str, Any]:
    """For a script."""
    status: dict[str, Any] = {"plan": plain(plan), "steps": [plain(step) for step in steps]}
    return {"apiVersion": "hubfed/v1", "kind": "PreparedSite", "metadata": {"name": site}, "status": status}


def _plan(client: Client, site: str) -> types_pb2.PreparePlan:
    for answer in client.stream("PrepareSite", control_pb2.PrepareSiteRequest(site=site), timeout_s=PLAN_S):
        plan: types_pb2.PreparePlan = answer.plan
        return plan
    raise Unavailable(f"{site}: no plan came")


def _row(item: types_pb2.PrepareItem) -> tuple[str, ...]:
    return (item.chart, item.version, item.namespace, item.action, item.now, item.values, item.reason)


def _agreed(site: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{site}: nobody is there to be asked", help="--yes says yes; --plan only shows the plan.")
    sys.stderr.write(f"carry this out at {site}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
