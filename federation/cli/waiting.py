"""Waiting for an operation with live progress: each finished step, and what the next one waits for.

The operation is the coordinators' business: leaving, by Ctrl-C or by time-out, leaves it running and says so.
"""

from __future__ import annotations

import time

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.model.errors import DeadlineExceeded, ExitCode, NotLeader, Unavailable

RETRY_S = 0.5


def wait_for(client: Client, name: str, operation: types_pb2.Operation, timeout_s: float) -> ExitCode:
    """Follow the operation to its end: OK, CONFLICT if another took its place, TIMED_OUT if it goes on after our time.
    What ends the following for good (not allowed, a defect) is raised: whether it goes on is then not known."""
    shown = 0
    until = time.monotonic() + timeout_s  # noqa: TID251 - a person's patience, not the product's logic
    try:
        while True:
            left = until - time.monotonic()  # noqa: TID251
            if left <= 0:
                return _timed_out(name, timeout_s)
            try:
                request = control_pb2.WatchOperationRequest(name=name, id=operation.id)
                for news in client.stream("WatchOperation", request, timeout_s=left):
                    shown = _show(name, news, shown)
                    if news.done:
                        output.end_line()
                        return ExitCode.OK
                output.say(f"{name}: another operation took the place of this one; `fedctl describe {name}` shows it")
                return ExitCode.CONFLICT  # noqa: TRY300 - the loop's one other way out
            except (Unavailable, NotLeader, DeadlineExceeded) as error:  # anything else is an answer, and ends it
                if isinstance(error, DeadlineExceeded) and until - time.monotonic() < RETRY_S:  # noqa: TID251
                    return _timed_out(name, timeout_s)
                output.line(f"{name}: {error.message}; asking another coordinator")
                time.sleep(RETRY_S)
    except KeyboardInterrupt:
        output.end_line()
        output.say(f"{name}: the operation goes on; `fedctl watch {name}` follows it")
        raise


def _timed_out(name: str, timeout_s: float) -> ExitCode:
    output.end_line()
    output.say(
        f"{name}: not done after {timeout_s:g} s; the operation goes on: `fedctl watch {name}` follows it, "
        f"`fedctl describe {name}` says what it waits for"
    )
    return ExitCode.TIMED_OUT


def _show(name: str, operation: types_pb2.Operation, shown: int) -> int:
    for record in operation.history[shown:]:
        output.clear_line()
        output.say(f"{name}  {record.seconds:6.1f} s  {record.step.ljust(9)} {record.message}")
    if operation.waiting_for and not operation.done:
        output.line(f"{name}           waiting: {operation.waiting_for}")
    return len(operation.history)
