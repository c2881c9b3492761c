"""A class on one machine, driven only by fedctl: placed, used by a student, changed, retired, restored; things die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from federation.model.errors import Unavailable
from tests.support.federation import Federation, federation, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def here() -> Iterator[Federation]:
    with federation() as running:
        yield running


def password(text: str) -> str:
    return text.split("shown only now: ")[1].split(maxsplit=1)[0]


def condition(here: Federation, name: str, kind: str) -> str:
    return next(str(c["status"]) for c in here.hub(name)["status"]["conditions"] if c["type"] == kind)


def test_a_placed_class_serves_its_students_and_their_files_stay(here: Federation) -> None:
    answer = here.fedctl("place", str(here.classroom("first")))
    word = password(answer.err)

    async def study() -> None:
        async with here.student("first") as one:
            assert await one.sign_in("wrong") == 403
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save_notebook("lab.ipynb", "1 + 1")
            await one.stop_server()
            await one.start_server()
            assert await one.read("lab.ipynb") == "1 + 1"

    asyncio.run(study())
    hub = here.hub("first")
    assert hub["status"]["site"] == "iu"
    assert hub["status"]["epoch"] == "1.1"
    assert condition(here, "first", "Serving") == "True"
    assert condition(here, "first", "NameConverged") == "True"
    assert condition(here, "first", "Protected") == "False", "nothing is armed yet, and it must say so"


def test_the_same_file_again_is_a_no_op_and_a_changed_one_is_shown_and_applied(here: Federation) -> None:
    path = here.classroom("second")
    here.fedctl("place", str(path))
    again = here.fedctl("place", str(path))
    assert "unchanged" in again.err
    assert here.hub("second")["metadata"]["generation"] == 1
    here.classroom("second", roster={"expected": 4, "admins": ["prof"], "users": ["s01", "s02", "s03", "late"]})
    plan = here.fedctl("place", str(path), "--plan")
    assert "late" in plan.out
    assert here.hub("second")["metadata"]["generation"] == 1, "--plan changes nothing"
    here.fedctl("place", str(path))
    assert here.hub("second")["metadata"]["generation"] == 2


def test_two_admins_who_place_one_name_at_once_get_one_class(here: Federation) -> None:
    path = here.classroom("twice")
    racers = [here.begin("place", str(path), "--no-wait") for _ in range(2)]
    codes = sorted(racer.wait(60) for racer in racers)
    for racer in racers:
        racer.communicate()
    assert codes in ([0, 0], [0, 4]), "one wins; the other finds it placed, or is told"
    items = json.loads(here.fedctl("get", "-o", "json").out)["items"]
    assert sum(item["metadata"]["name"] == "twice" for item in items) == 1


def test_retire_keeps_the_homes_and_restore_brings_the_same_class_back(here: Federation) -> None:
    answer = here.fedctl("place", str(here.classroom("third")))
    word, uid = password(answer.err), here.hub("third")["metadata"]["uid"]

    async def save() -> None:
        async with here.student("third") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("notes.txt", "kept")

    asyncio.run(save())
    retired = here.fedctl("retire", "third")
    assert "homes are kept for 90 days" in retired.out
    assert here.pids("hub", hub=uid) == []
    assert here.pids("server", hub=uid) == [], "students' servers are stopped too"
    here.fedctl("restore", "third")

    async def read() -> None:
        async with here.student("third") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            assert await one.read("notes.txt") == "kept"

    asyncio.run(read())
    assert here.hub("third")["metadata"]["uid"] == uid
    assert here.hub("third")["status"]["epoch"] == "1.3", "one up at the end of ownership, one up at its return"


def test_a_class_placed_again_under_a_retired_name_starts_with_empty_homes(here: Federation) -> None:
    path = here.classroom("again")
    word, first = password(here.fedctl("place", str(path)).err), here.hub("again")["metadata"]["uid"]

    async def save() -> None:
        async with here.student("again") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("secret-of-last-year.txt", "kept")

    asyncio.run(save())
    here.fedctl("retire", "again")
    word = password(here.fedctl("place", str(path)).err)
    assert here.hub("again")["metadata"]["uid"] != first

    async def look() -> None:
        async with here.student("again") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            with pytest.raises(Unavailable, match="404"):
                await one.read("secret-of-last-year.txt")

    asyncio.run(look())


def test_a_students_server_and_kernel_live_on_when_hub_proxy_and_agent_are_killed(here: Federation) -> None:
    word = password(here.fedctl("place", str(here.classroom("steady"))).err)
    uid = here.hub("steady")["metadata"]["uid"]

    async def work() -> None:
        async with here.student("steady") as one:
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
    until(lambda: bool(here.pids("hub", hub=uid)) and here.login_page("steady"), "it serves again", 60, here.logs)

    async def go_on() -> None:
        async with here.student("steady") as one:
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save("after.txt", "still here")

    asyncio.run(go_on())
    assert here.pids("server", hub=uid) == server, "it was adopted, not started again"


def test_bad_input_is_refused_with_every_error_and_nothing_is_written(here: Federation) -> None:
    path = here.classroom("bad", resources={"memory": {"guarantee": "3G", "limit": "2G"}}, bogus=1)
    answer = here.fedctl("place", str(path), ok=False)
    assert answer.code == 2
    assert "bogus" in answer.err
    assert "bad.yaml:" in answer.err
    assert here.fedctl("get", "bad", ok=False).code == 3


@pytest.mark.parametrize("role", ["etcd", "coordinator", "agent", "edge", "frontdoor", "hub", "proxy"])
def test_what_is_killed_comes_back_and_the_class_serves(here: Federation, role: str) -> None:
    name = "lasting"
    here.fedctl("place", str(here.classroom(name)))
    victims = here.pids(role)
    for pid in victims:
        here.kill(pid)
    until(lambda: set(victims).isdisjoint(here.pids(role)) and bool(here.pids(role)), f"{role} is back")

    def explain() -> str:
        return here.fedctl("describe", name).out + here.fedctl("sites").out + here.logs()

    until(lambda: condition(here, name, "Serving") == "True", "the class serves", 60, explain)

    until(lambda: here.login_page(name), "the login page is there", 60)


def test_without_a_register_the_last_known_state_is_shown_as_stale_and_classes_go_on(here: Federation) -> None:
    here.fedctl("place", str(here.classroom("stale")))
    register = here.pids("etcd")
    assert len(register) == 3
    for member in register:
        os.kill(member, signal.SIGSTOP)
    try:
        until(lambda: "STALE" in here.fedctl("get", ok=False).err, "it is said", 60)
        answer = here.fedctl("get")
        assert "s old" in answer.err
        assert "stale" in answer.out, "the class is still listed"
        assert here.login_page("stale")
        refused = here.fedctl("place", str(here.classroom("toolate")), "--no-wait", ok=False)
        assert refused.code == 5
    finally:
        for member in register:
            os.kill(member, signal.SIGCONT)
    until(lambda: here.serves("stale") and "STALE" not in here.fedctl("get").err, "it is over", 60, here.logs)


def test_a_secret_is_nowhere_but_with_the_hub_that_needs_it(here: Federation) -> None:
    planted = "planted-hcnkqzwvtr"
    file = here.folder / "password.txt"
    file.write_text(planted)
    here.fedctl("secret", "set", "door-key", "--from-file", str(file))
    file.unlink()
    here.fedctl("place", str(here.classroom("secretive", auth={"type": "dummy", "secret": "door-key"})))

    async def enter() -> None:
        async with here.student("secretive") as one:
            assert await one.sign_in(planted) == 200
            await one.start_server()

    asyncio.run(enter())
    with_it = [path for path in here.folder.rglob("*") if path.is_file() and planted.encode() in path.read_bytes()]
    uid = here.hub("secretive")["metadata"]["uid"]
    assert [path.parent.name for path in with_it] == [uid], "only in the hub's own file"
    assert all(path.stat().st_mode & 0o077 == 0 for path in with_it), "which nobody else can read"
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert planted.encode() not in process.read_bytes()


def test_logs_of_the_hub_are_read_through_any_coordinator(here: Federation) -> None:
    here.fedctl("place", str(here.classroom("spoken")))
    assert "JupyterHub" in here.fedctl("logs", "spoken").out


def test_ctrl_c_while_waiting_leaves_the_operation_running(here: Federation) -> None:
    waiting = here.begin("place", str(here.classroom("patient")))
    until(lambda: here.fedctl("get", "patient", ok=False).code == 0, "it was accepted")
    waiting.send_signal(signal.SIGINT)
    _out, err = waiting.communicate(timeout=30)
    if waiting.returncode == 130:
        assert "the operation goes on" in err
    until(lambda: here.hub("patient")["status"].get("phase") == "Serving", "it serves all the same")
