"""A class on one machine, driven only by fedctl: placed, used by a student, changed, asked about."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from federation.cli.local.status import ROLES
from tests.support.federation import Federation, until
from tests.support.living_folder import everything_in, holds

pytestmark = pytest.mark.timeout(240)


def test_a_placed_class_serves_its_students_and_their_files_stay(here: Federation) -> None:
    async def study(word: str) -> None:
        async with here.student("first") as one:
            assert await one.sign_in("wrong") == 403
            assert await one.sign_in(word) == 200
            await one.start_server()
            await one.save_notebook("lab.ipynb", "1 + 1")
            await one.stop_server()
            await one.start_server()
            assert await one.read("lab.ipynb") == "1 + 1"

    with here.placed("first") as word:
        asyncio.run(study(word))
        hub = here.hub("first")
        assert hub["status"]["site"] == "iu"
        assert hub["status"]["epoch"] == "1.1"
        said = {c["type"]: c["status"] for c in hub["status"]["conditions"]}
        assert (said["Serving"], said["NameConverged"]) == ("True", "True")
        assert {"DataFresh", "Protected", "PeerClean"} <= said.keys()
        of_it = [item for item in here.running() if item.hub in ("", hub["metadata"]["uid"])]
        assert {item.role for item in of_it} == set(ROLES)
        for item in of_it:
            assert Path(item.log).is_file(), item
            assert (item.address == "") == (item.role == "fencer"), item  # agents answer each other
            if item.address:
                host, _, port = item.address.partition(":")
                socket.create_connection((host, int(port)), timeout=5).close()


def test_the_same_file_again_is_a_no_op_and_a_changed_one_is_shown_and_applied(here: Federation) -> None:
    with here.placed("second"):
        path = here.classroom("second")
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
    here.fedctl("retire", "twice", "--no-wait")


def test_bad_input_is_refused_with_every_error_and_nothing_is_written(here: Federation) -> None:
    path = here.classroom("bad", resources={"memory": {"guarantee": "3G", "limit": "2G"}}, bogus=1)
    answer = here.fedctl("place", str(path), ok=False)
    assert answer.code == 2
    assert "bogus" in answer.err
    assert "bad.yaml:" in answer.err
    assert here.fedctl("get", "bad", ok=False).code == 3


def test_a_secret_is_nowhere_but_with_the_hub_that_needs_it(here: Federation) -> None:
    planted = "planted-hcnkqzwvtr"
    file = here.folder / "password.txt"
    file.write_text(planted)
    here.fedctl("secret", "set", "door-key", "--from-file", str(file))
    file.unlink()

    async def enter() -> None:
        async with here.student("secretive") as one:
            assert await one.sign_in(planted) == 200
            await one.start_server()

    with here.placed("secretive", auth={"type": "dummy", "secret": "door-key"}):
        asyncio.run(enter())
        with_it = [path for path in everything_in(here.folder) if holds(path, planted.encode())]
        uid = here.hub("secretive")["metadata"]["uid"]
        assert [path.parent.name for path in with_it] == [uid], "only in the hub's own file"
        assert all(path.stat().st_mode & 0o077 == 0 for path in with_it), "which nobody else can read"
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                assert planted.encode() not in process.read_bytes()


def test_logs_of_the_hub_are_read_through_any_coordinator(here: Federation) -> None:
    with here.placed("spoken"):
        assert "JupyterHub" in here.fedctl("logs", "spoken").out


def test_ctrl_c_while_waiting_leaves_the_operation_running(here: Federation) -> None:
    waiting = here.begin("place", str(here.classroom("patient")))
    until(lambda: here.fedctl("get", "patient", ok=False).code == 0, "it was accepted")
    waiting.send_signal(signal.SIGINT)
    _out, err = waiting.communicate(timeout=30)
    if waiting.returncode == 130:
        assert "the operation goes on" in err
    until(lambda: here.hub("patient")["status"].get("phase") == "Serving", "it serves all the same")
    here.fedctl("retire", "patient", "--no-wait")
