"""For all tests: the repository's root is importable, skips fail under CI, root-only tests say why they are skipped, and
thorough ones are run by `make test-all` only."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CI = os.environ.get("CI") == "true"
IDLE_ROUNDS = (
    0  # of a loop on virtual time, before the clock jumps: the default of 42 is most of what such a test costs
)
UNIT_LIMIT_S = 10.0  # a unit test that needs longer is none; wide, because two cores may be shared


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("THOROUGH") != "1":
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.get_closest_marker("needs_root") and os.getuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: run `sudo make test`"))
        if "unit" in item.path.relative_to(ROOT).parts and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(UNIT_LIMIT_S))
        if item.get_closest_marker("looptime"):
            item.add_marker(pytest.mark.looptime(noop_cycles=IDLE_ROUNDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Under CI nothing may be left out in silence: a skip is a failure that names its reason."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skipped under CI=true: {reason}"
    return report
