"""Kill -9 of the leading coordinator at every step of a place: it finishes once, nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.federation import Federation, federation, until

pytestmark = pytest.mark.timeout(240)
STEPS = ["admitted", "assigned", "started", "verified", "named"]


@pytest.fixture(scope="module")
def here() -> Iterator[Federation]:
    with federation() as running:
        yield running


def leader(here: Federation) -> str:
    lines = here.fedctl("doctor", ok=False).out.splitlines()
    leading = [line for line in lines if " leads" in line]
    return leading[0].split("coordinator ")[1].split()[0] if leading else ""


@pytest.mark.parametrize("step", STEPS)
def test_a_place_survives_its_leader_killed_after(here: Federation, step: str) -> None:
    name = f"k-{step}"
    until(lambda: bool(leader(here)), "somebody leads")
    victim = leader(here)
    pid = next(i["pid"] for i in here.up() if i["role"] == "coordinator" and i["log"].endswith(f"{victim}.log"))
    waiting = here.begin("place", str(here.classroom(name)))
    assert waiting.stderr is not None
    for line in waiting.stderr:
        if f"  {step} " in line:
            here.kill(int(pid))
            break
    else:
        pytest.fail(f"step {step} was never shown")
    assert waiting.wait(120) == 0, here.logs()
    waiting.communicate()
    hub = here.hub(name)
    history = [record["step"] for record in hub["status"]["operation"]["history"]]
    assert history == [*STEPS, "done"], "each step once, in order"
    assert hub["status"]["epoch"] == "1.1", "it was assigned once"
    starts = [
        line
        for log in (here.dir / "logs").glob("agent-*.log")
        for line in log.read_text().splitlines()
        if "history.start" in line and json.loads(line)["hub"] == hub["metadata"]["uid"]
    ]
    assert len(starts) == 1, "the hub was started once"
