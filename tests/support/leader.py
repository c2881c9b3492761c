"""Kill -9 of whoever leads, at a chosen step of an operation that fedctl follows."""

from __future__ import annotations

from typing import Any

from tests.support.federation import Federation, until


def leader(here: Federation) -> str:
    """The coordinator that says so, or nothing."""
    lines = here.fedctl("doctor", ok=False).out.splitlines()
    leading = [line for line in lines if " leads" in line]
    return leading[0].split("coordinator ")[1].split()[0] if leading else ""


def finishes_although_its_leader_is_killed_after(here: Federation, step: str, *order: str) -> dict[str, Any]:
    """Give the order, kill -9 the leader as soon as `step` is shown, wait until fedctl says that all is done.

    Returns the class as it is then; its operation has each step once, in order, whatever happened."""
    until(lambda: bool(leader(here)), "somebody leads")
    victim = leader(here)
    pid = next(item.pid for item in here.running(role="coordinator") if item.log.endswith(f"{victim}.log"))
    waiting = here.begin(*order)
    assert waiting.stderr is not None
    shown = ""
    for line in waiting.stderr:
        shown += line
        if f"  {step} " in line:
            here.kill(pid)
            break
    else:
        raise AssertionError(f"step {step} was never shown:\n{shown}")
    _out, rest = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, f"{shown}{rest}{here.logs()}"
    name = order[1].rpartition("/")[2].removesuffix(".yaml")
    return here.hub(name)


def steps_of(hub: dict[str, Any]) -> list[str]:
    """The finished steps of the class's newest operation."""
    return [str(record["step"]) for record in hub["status"]["operation"]["history"]]


def times(here: Federation, event: str, hub: dict[str, Any]) -> int:
    """How often the agents recorded `start`, `stop`, ... of this hub."""
    return sum(entry.event == event and entry.hub == hub["metadata"]["uid"] for entry in here.history())
