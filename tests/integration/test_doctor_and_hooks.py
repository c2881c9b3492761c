"""`fedctl doctor CLASS` and `fedctl hooks`, as processes against a real server with real hooks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.coordinator.hook_calls import SystemHookCaller
from federation.coordinator.hooks_loop import Hooks
from federation.model.errors import ExitCode
from federation.model.hooks import Hook
from tests.support.control_server import Served, served
from tests.support.federation import until

TELL = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hooks")


@pytest.fixture(scope="module")
def here(folder: Path) -> Iterator[Served]:
    hooks = (
        Hook(name="log", command=(sys.executable, "-c", TELL, str(folder / "told"))),
        Hook(name="pager", url="http://127.0.0.1:9/page/SECRET"),
    )
    with served(folder, Hooks(hooks, SystemHookCaller(folder), 120.0)) as serving:
        yield serving


def told(folder: Path) -> list[dict[str, Any]]:
    file = folder / "told"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def doctor(here: Served) -> dict[str, dict[str, str]]:
    return {item["what"]: item for item in json.loads(here.fedctl("doctor", "-o", "json").out)["items"]}


def test_a_test_calls_every_hook_once_and_says_which_one_did_not_work(here: Served, folder: Path) -> None:
    before = told(folder)
    answer = here.fedctl("hooks", "test")
    assert answer.code == ExitCode.FAILED
    head, log, pager = answer.out.splitlines()
    assert head.split() == ["COORDINATOR", "HOOK", "CALLS", "PROBLEM"]
    assert log.split()[:2] == ["c1", "log"]
    assert "http://127.0.0.1:9: " in pager
    assert "SECRET" not in answer.out + answer.err
    (said,) = told(folder)[len(before) :]
    assert (said["event"], said["actor"]) == ("test", "user/ada")
    assert here.ok("hooks", "test", "log").out.count("c1") == 1
    assert "has no hook nobody" in here.fedctl("hooks", "test", "nobody").out


def test_a_reader_may_see_hooks_and_may_not_call_them(here: Served, folder: Path) -> None:
    before = told(folder)
    assert "pager" in here.ok("hooks", "list", context="vic").out
    refused = here.fedctl("hooks", "test", context="vic")
    assert refused.code == ExitCode.FAILED
    assert "admin" in refused.out
    assert told(folder) == before


def test_what_happened_is_told_and_doctor_says_how_the_calls_went(here: Served, folder: Path) -> None:
    assert doctor(here)["hook log"]["state"] == "note"
    here.ok("pause", "--reason", "storage work")
    until(lambda: any(said["event"] == "freeze" for said in told(folder)), "the hook is called")
    here.ok("resume")
    until(lambda: [said["turn"] for said in told(folder)][-1] == "ended", "the hook is called again")
    until(lambda: doctor(here)["hook log"]["state"] == "ok", "the call is on record")
    pager = doctor(here)["hook pager"]
    assert pager["state"] == "red"
    assert "calls failed" in pager["why"]
    assert "SECRET" not in json.dumps(pager)
    listed = {item["name"]: item for item in here.document("hooks", "list")["items"]}
    assert "error" not in listed["log"]
    assert listed["pager"]["waiting"] >= 1
    assert "takeover" in listed["log"]["events"]


def test_doctor_shows_the_room_without_each_site(here: Served) -> None:
    assert doctor(here)["room without iu"]["state"] == "ok"


def test_the_readiness_of_a_class_is_a_table_with_what_to_do_and_an_exit_code(here: Served) -> None:
    here.ok("place", here.classroom("sigma", storage={"type": "none"}))
    shown = here.fedctl("doctor", "sigma")
    assert shown.code == ExitCode.FAILED, "no fencer runs here"
    head, *lines = shown.out.splitlines()
    assert head.split() == ["STATE", "WHAT", "WHY", "WHAT", "TO", "DO"]
    (fencer,) = [line for line in lines if "fencer of iu" in line]
    assert fencer.startswith("RED")
    assert "fed-fencer at that site" in fencer
    assert "sigma: not ready for a failover" in shown.err
    known = json.loads(here.fedctl("doctor", "sigma", "-o", "json").out)
    assert known["ok"] is False
    assert (known["site"], known["standby"]) == ("iu", "tacc")
    assert {item["what"] for item in known["items"]} >= {"serving", "armed", "standby", "room at tacc", "software"}
    assert set(known["items"][0]) == {"state", "what", "why", "todo"}
    assert here.fedctl("doctor", "nobody").code == ExitCode.NOT_FOUND
