"""Logs of the simulated daemons: dropped, but for defects, which are kept: an unexpected exception is a finding."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from federation.model.errors import FederationError
from tests.support.sim.loop import PROCESS, true_time

EXPECTED = (FederationError, TimeoutError)


@contextmanager
def quiet(noticed: list[str]) -> Iterator[None]:
    """For one run. SIM_LOG=1 prints everything with true times, for whoever reads one seed."""
    loud = bool(os.environ.get("SIM_LOG"))

    def keep(_logger: Any, level: str, event: MutableMapping[str, Any]) -> Any:
        process = PROCESS.get()
        where = process.name if process is not None else "-"
        error = event.get("exc_info")
        if isinstance(error, BaseException) and not isinstance(error, EXPECTED):
            noticed.append(f"{true_time():.3f} {where}: {event['event']} {error!r}")
            if loud:
                traceback.print_exception(error)
        if loud:
            fields = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("event", "exc_info"))
            print(f"{true_time():9.3f} {where:12} {level:7} {event['event']} {fields}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if loud else logging.WARNING),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
