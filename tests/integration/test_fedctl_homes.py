"""`fedctl homes` as the help desk meets it: a student lost a file."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.model.errors import ExitCode
from federation.model.homes import CopyPoint, Unsent, UnsentHome, UnsentStep
from federation.model.identity import Epoch
from federation.store import keys
from federation.store.register import Changes
from tests.integration.test_fedctl import completions
from tests.support.control_server import FEDCTL, Served, served
from tests.support.copies_bench import ROOT

pytestmark = pytest.mark.timeout(120)

CLASS = {"storage": {"type": "dynamic", "protect": {"every": "1m"}}}
FAR = "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("fedctl")) as running:
        place_with_work(running, "alpha", "atm101", "retired")
        yield running


def place_with_work(here: Served, *names: str) -> None:
    """Classes with two copies each: in the second one there is a notebook of s01."""
    here.ok("place", *(here.classroom(name, **CLASS) for name in names))
    until(lambda: all(newest(here, name) is not None for name in names), "they are copied")
    first, site = [newest(here, name) for name in names], here.federation.sites["iu"]
    for name in names:
        site.files[hub(here, name)]["s01/notes.ipynb"] = b"first"
        site.start_server(hub(here, name), "s01")
        site.stop_server(hub(here, name), "s01")
    until(lambda: all(newest(here, name) not in first for name in names), "they are copied again")


def until(true: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def hub(here: Served, name: str = "alpha") -> str:
    stored = here.replica.snapshot.find(name)
    assert stored is not None
    return stored.document.uid


def newest(here: Served, name: str = "alpha") -> str | None:
    stored = here.replica.snapshot.home(hub(here, name))
    return stored.document.copy_.snapshot if stored is not None else None


def items(here: Served, *words: str) -> list[dict[str, Any]]:
    found = here.document("homes", "alpha", *words, "list")["items"]
    assert isinstance(found, list)
    return found


def test_copies_are_listed_newest_first_and_for_a_student_those_that_have_their_home(here: Served) -> None:
    head, *rows = here.ok("homes", "alpha", "list").out.splitlines()
    assert head.split() == ["TAKEN", "AGE", "SITE", "EPOCH", "HOMES", "SIZE", "UNREAD"]
    assert len(rows) == len(items(here)) >= 2
    assert " ago " in rows[0]
    assert " iu " in rows[0]
    taken = [item["status"]["taken"] for item in items(here)]
    assert taken == sorted(taken, reverse=True)
    assert 0 < len(items(here, "s01")) < len(items(here)), "the first copy had no home of s01 yet"
    assert here.ok("homes", "alpha", "s02", "list").err.count("no copies with a home of s02") == 1
    assert "s02" in here.ok("homes", "alpha", "list").err, "in no copy"


def test_the_document_has_the_shape_of_kubernetes(here: Served) -> None:
    body = here.document("homes", "alpha", "list")
    assert (body["apiVersion"], body["kind"]) == ("hubfed/v1", "HomeCopyList")
    assert body["metadata"] == {"name": "alpha", "uid": hub(here)}
    assert body["items"][0]["kind"] == "HomeCopy"
    assert body["items"][0]["metadata"]["name"] == newest(here)
    assert body["items"][0]["status"]["epoch"] == "1.1"
    (home,) = body["status"]["homes"]
    assert home["name"] == "s01"
    assert home["bytes"] == len(b"first")


def test_a_home_comes_back_beside_what_the_student_has_and_the_same_again_finds_it_there(here: Served) -> None:
    place_with_work(here, "omega")
    files = here.federation.sites["iu"].files[hub(here, "omega")]
    files["s01/notes.ipynb"] = b"spoil"
    oldest = here.document("homes", "omega", "s01", "list")["items"][-1]["status"]["taken"]
    first = here.ok("homes", "omega", "s01", "restore", "--at", oldest).out
    folder = first.split()[1]
    assert folder.startswith("restored-20")
    assert "is there now, in the home at iu; as of 20" in first
    assert files[f"s01/{folder}/notes.ipynb"] == b"first"
    assert files["s01/notes.ipynb"] == b"spoil"
    assert "was there already" in here.ok("homes", "omega", "s01", "restore", "--at", oldest).out
    body = here.document("homes", "omega", "s01", "restore", "--at", oldest)
    assert body["status"]["folder"] == folder
    assert body["status"]["there"] is True
    assert "home.restored" in here.ok("events", "omega").out


def test_each_reason_why_it_cannot_come_back_is_said(here: Served) -> None:
    def refusal(*words: str, context: str = "ada") -> tuple[int, str]:
        answer = here.fedctl("homes", *words, context=context)
        return answer.code, answer.err

    oldest = items(here, "s01")[-1]["status"]["taken"]
    code, said = refusal("alpha", "s01", "restore", "--at", "2020-01-01T00:00:00Z")
    assert code == ExitCode.NOT_FOUND
    assert f"the oldest is of {oldest}, by iu" in said
    code, said = refusal("alpha", "nobody", "restore", "--at", FAR)
    assert (code, "nobody in alpha is called nobody" in said) == (ExitCode.NOT_FOUND, True)
    code, said = refusal("alpha", "s02", "restore", "--at", FAR)
    assert (code, "no copy of alpha has a home of s02" in said) == (ExitCode.NOT_FOUND, True)
    assert refusal("absent", "list")[0] == ExitCode.NOT_FOUND
    for words in (
        ("alpha", "s01", "restore"),
        ("alpha", "restore"),
        ("alpha", "s01", "bake"),
        ("alpha", "a", "b", "list"),
    ):
        assert refusal(*words)[0] == ExitCode.BAD_INPUT
    assert refusal("alpha", "s01", "restore", "--at", "noon")[0] == ExitCode.BAD_INPUT
    assert refusal("alpha", "s01", "restore", "--at", FAR, context="vic")[0] == ExitCode.REFUSED
    assert refusal("alpha", "list", context="vic")[0] == ExitCode.OK


def test_times_are_understood_with_a_zone_without_and_as_so_long_ago(here: Served) -> None:
    for at in ("2099-01-01T00:00:00+02:00", "2099-01-01 00:00", "0s", "0s ago"):
        assert here.ok("homes", "alpha", "s01", "restore", "--at", at).out
    assert here.fedctl("homes", "alpha", "s01", "restore", "--at", "52w").code == ExitCode.NOT_FOUND


def test_of_a_class_that_nobody_owns_nothing_can_be_put_anywhere_but_it_can_be_listed(here: Served) -> None:
    here.ok("retire", "retired")
    answer = here.fedctl("homes", "retired", "s01", "restore", "--at", FAR)
    assert answer.code == ExitCode.REFUSED
    assert "no site owns retired now" in answer.err
    assert "fedctl restore retired" in answer.err
    assert here.document("homes", "retired", "list")["items"]


def test_a_site_that_cannot_be_reached_is_said(here: Served) -> None:
    here.run(lambda: here.federation.kill("agent-iu"))
    try:
        answer = here.fedctl("homes", "alpha", "s01", "restore", "--at", FAR)
        assert answer.code == ExitCode.REFUSED
        assert "iu: no agent is connected" in answer.err
    finally:
        here.loop.call_soon_threadsafe(here.federation.start_agent, "iu")
        until(lambda: here.document("get", "alpha")["status"]["phase"] == "Serving", "its agent is back")


def test_describe_shows_what_an_earlier_owner_had_not_sent_in_numbers(here: Served) -> None:
    point = CopyPoint(site="tacc", snapshot="0" * 64)
    work = Unsent(
        hub=hub(here),
        site="tacc",
        epoch=Epoch(era=1, n=0),
        base=point,
        taken_over=datetime(2026, 9, 1, 14, 5, tzinfo=UTC),
        step=UnsentStep.DONE,
        saved=point,
        homes=(UnsentHome(name="s01", files=2, bytes=7), UnsentHome(name="s02", files=1, bytes=3)),
        ended=datetime(2099, 1, 1, tzinfo=UTC),
        message="3 files of 2 students in recovered-tacc-2026-09-01T140500Z",
    )
    written = Changes().put(keys.unsent(work.hub, work.site, str(work.epoch)), work)
    here.run(lambda: here.replica.control_service.admission.register.commit(written))
    until(lambda: "unsent" in here.document("describe", "alpha")["status"], "it is seen")
    (shown,) = here.document("describe", "alpha")["status"]["unsent"]
    assert (shown["site"], shown["step"], shown["students"], shown["files"], shown["bytes"]) == (
        "tacc",
        "done",
        2,
        3,
        10,
    )
    section = here.ok("describe", "alpha").out.partition("Unsent work of earlier owners:")[2]
    assert "tacc    2026-09-01T14:05:00.000Z  done" in section
    assert work.message in section


def test_students_and_what_can_be_done_are_completed(here: Served) -> None:
    for line, offered in (
        ("fedctl homes alpha ", {"list", "s01"}),
        ("fedctl homes alpha s01 ", {"list", "restore"}),
        ("fedctl homes alpha s01 list ", set()),
    ):
        assert {word for word in completions(here, line) if not word.startswith("-")} == offered, line


def test_the_page_for_the_help_desk_can_be_typed_in(here: Served) -> None:
    page = (ROOT / "docs/how-to/a-student-lost-a-file.md").read_text()
    typed = "".join(re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    path = f"{FEDCTL.parent}:{here.env['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", typed], env={**here.env, "PATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    assert "s01: restored-20" in done.stdout
    assert "home.restored" in done.stdout
