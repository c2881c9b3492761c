"""Kill -9 of each part while a class runs: it comes back, the class serves, and students' servers live on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.federation import Federation, until
from tests.support.thorough import cases

pytestmark = pytest.mark.timeout(240)
ROLES = ["etcd", "coordinator", "agent", "hub", "proxy", "edge", "frontdoor"]


@pytest.fixture(scope="module")
def word(federation_here: Federation) -> Iterator[str]:
    """The password of the class `lasting`, which every test finds serving."""
    with federation_here.placed("lasting") as shown:
        yield shown


def test_a_students_server_and_kernel_live_on_when_hub_proxy_and_agent_are_killed(here: Federation, word: str) -> None:
    uid = here.hub("lasting")["metadata"]["uid"]

    async def work() -> None:
        async with here.student("lasting") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            async with one.terminal() as shell:
                assert "41" in await shell.run("export answer=41; echo $answer")

    asyncio.run(work())
    server = here.pids("server", hub=uid)
    assert len(server) == 1
    for role in ("hub", "proxy"):
        for pid in here.pids(role, hub=uid):
            here.kill(pid)
    for pid in here.pids("agent"):
        here.kill(pid)
    until(lambda: bool(here.pids("hub", hub=uid)) and here.login_page("lasting"), "it serves again", 60, here.logs)

    async def go_on() -> None:
        async with here.student("lasting") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("after.txt", "still here")

    asyncio.run(go_on())
    assert here.pids("server", hub=uid) == server, "it was adopted, not started again"


@pytest.mark.parametrize("role", cases(ROLES, usual=ROLES[:4]))
def test_what_is_killed_comes_back_and_the_class_serves(here: Federation, word: str, role: str) -> None:
    name = "lasting"
    victims = here.pids(role)
    for pid in victims:
        here.kill(pid)
    until(lambda: set(victims).isdisjoint(here.pids(role)) and bool(here.pids(role)), f"{role} is back")

    def explain() -> str:
        return here.fedctl("describe", name).out + here.fedctl("sites").out + here.logs()

    until(lambda: here.serves(name), "the class serves", 60, explain)
    until(lambda: here.login_page(name), "the login page is there", 60)


def test_without_a_register_the_last_known_state_is_shown_as_stale_and_classes_go_on(
    here: Federation, word: str
) -> None:
    register = here.pids("etcd")
    assert len(register) == 3
    for member in register:
        os.kill(member, signal.SIGSTOP)
    try:
        until(lambda: "STALE" in here.fedctl("get", ok=False).err, "it is said", 60)
        answer = here.fedctl("get")
        assert "s old" in answer.err
        assert "lasting" in answer.out, "the class is still listed"
        assert here.login_page("lasting")
        refused = here.fedctl("place", str(here.classroom("toolate")), "--no-wait", ok=False)
        assert refused.code == 5
    finally:
        for member in register:
            os.kill(member, signal.SIGCONT)
    until(lambda: here.serves("lasting") and "STALE" not in here.fedctl("get").err, "it is over", 60, here.logs)
