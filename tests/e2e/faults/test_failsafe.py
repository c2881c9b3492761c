"""No coordinator answers, for real: a class that is armed goes on, for its peer keeps its lease; nothing is moved after."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.federation import Federation, until
from tests.support.freezing import freeze

pytestmark = pytest.mark.timeout(300)
NAME = "outage"
AWAY_S = 25.0  # more than L: whoever counted on from before it would take over at once


@contextmanager
def hung(pids: list[int]) -> Iterator[None]:
    """They do not answer and do not refuse, as when packets are dropped."""
    for pid in pids:
        freeze(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_class_outlives_an_outage_of_all_coordinators(here: Federation) -> None:
    with here.placed(NAME, storage={"type": "none"}):
        until(lambda: here.condition(NAME, "Protected") == "True", "it is armed", 90, here.logs)
        before = len(here.history())
        with hung(here.pids("coordinator")):
            end = time.monotonic() + AWAY_S
            while time.monotonic() < end:
                assert here.login_page(NAME), here.logs()
                time.sleep(0.5)
        until(lambda: here.serves(NAME), "coordinators answer again", 60, here.logs)
        time.sleep(AWAY_S)
        assert here.hub(NAME)["status"]["site"] == "iu"
        events = [(entry.site, entry.event) for entry in here.history()[before:]]
        assert ("iu", "failsafe") in events
        assert not [e for e in events if e[1] in ("stop", "fenced", "revoke", "close")], events
