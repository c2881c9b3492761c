"""Kill -9 of each part while a class is being placed: the place finishes all the same, and the class serves."""

from __future__ import annotations

import pytest

from tests.support.federation import Federation, until
from tests.support.thorough import cases

pytestmark = pytest.mark.timeout(240)
ROLES = ["etcd", "coordinator", "agent", "edge", "hub", "proxy"]


@pytest.mark.parametrize("role", cases(ROLES, usual=ROLES[:3]))
def test_a_place_finishes_although_a_part_is_killed_under_it(here: Federation, role: str) -> None:
    name = f"under-{role}"
    waiting = here.begin("place", str(here.classroom(name)), "--no-wait")
    assert waiting.wait(30) == 0, waiting.communicate()
    waiting.communicate()
    uid = here.hub(name)["metadata"]["uid"]
    if role in ("hub", "proxy"):  # of this class, as soon as there is one
        until(lambda: bool(here.pids(role, hub=uid)), f"the {role} was started")
        victims = here.pids(role, hub=uid)
    else:
        victims = here.pids(role)
    for pid in victims:
        here.kill(pid)
    until(lambda: here.serves(name), "it serves", 90, here.logs)
    until(lambda: here.login_page(name), "the login page is there", 30, here.logs)
    hub = here.hub(name)
    assert hub["metadata"]["uid"] == uid, "what was acknowledged is not lost"
    assert hub["status"]["epoch"] == "1.1", "it was assigned once"
    here.fedctl("retire", name, "--no-wait")
