"""Upstream charts are fetched from a real server: what comes is the pinned archive, or nothing is there under its name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from agents.drivers.kubernetes.charts import Chart
from federation.model.errors import ExitCode
from tests.support.chart_repository import Repository, digest, packed, repository
from tests.support.control_server import FEDCTL, Answer

NAME, VERSION = "jupyterhub", "4.4.0"
ARCHIVE = f"{NAME}-{VERSION}.tgz"
PATH = f"/{ARCHIVE}"
CONTENT = packed(NAME, VERSION, {"templates/long.yaml": f"# {os.urandom(150_000).hex()}"})


@dataclass
class Here:
    """A repository with the chart, a list that pins it, and a folder for it."""

    repo: Repository
    folder: Path
    pins: Path

    def pin(self, **changes: object) -> None:
        chart: dict[str, object] = {
            "name": NAME,
            "repository": self.repo.url,
            "version": VERSION,
            "why": "a test",
            "tried": "here",
        }
        chart |= {"digest": digest(CONTENT), "digest_from": "a test"} | changes
        body = {"apiVersion": "hubfed/v1", "kind": "UpstreamCharts"}
        chart = {key: value for key, value in chart.items() if value is not None}
        self.pins.write_text(yaml.safe_dump({**body, "spec": {"charts": [chart]}}))

    def words(self, action: str, *more: str) -> list[str]:
        return [str(FEDCTL), "charts", action, *more, "--in", str(self.folder), "--pins", str(self.pins)]

    def fedctl(self, action: str, *more: str) -> Answer:
        done = subprocess.run(
            self.words(action, *more), capture_output=True, text=True, timeout=60, check=False, env=self.env
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}

    @property
    def there(self) -> list[str]:
        """What is in the folder, but what a pull keeps for itself."""
        return sorted(path.name for path in self.folder.glob("*") if not path.name.startswith("."))

    @property
    def parts(self) -> list[Path]:
        return sorted(self.folder.glob(".*.part"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    with repository() as repo:
        repo.add(NAME, VERSION, CONTENT)
        made = Here(repo, tmp_path / "charts", tmp_path / "pins.yaml")
        made.pin()
        yield made


def test_what_is_fetched_is_the_pinned_chart_and_the_agent_finds_it(here: Here) -> None:
    assert here.fedctl("verify").code == ExitCode.NOT_FOUND
    answer = here.fedctl("pull")
    assert (answer.code, here.there) == (ExitCode.OK, [ARCHIVE]), answer.err
    assert (here.folder / ARCHIVE).read_bytes() == CONTENT
    assert here.parts == []
    assert here.fedctl("verify").code == ExitCode.OK
    assert Chart.find(here.folder, NAME).version == VERSION
    asked = len(here.repo.asked)
    assert "was there already" in here.fedctl("pull").err
    assert len(here.repo.asked) == asked, "what is there and right is asked of nobody"


def test_an_answer_that_is_cut_off_is_gone_on_with(here: Here) -> None:
    here.repo.cut[PATH] = [10_000, 20_000]
    assert here.fedctl("pull").code == ExitCode.OK
    assert here.repo.ranges(PATH) == ["", "bytes=10000-", "bytes=30000-"]
    assert (here.folder / ARCHIVE).read_bytes() == CONTENT


def test_a_server_that_sends_nothing_more_is_given_up_and_the_next_pull_goes_on(here: Here) -> None:
    here.repo.cut[PATH] = [10_000, 0, 0, 0]
    answer = here.fedctl("pull")
    assert answer.code == ExitCode.UNAVAILABLE
    assert "Run it again" in answer.err
    assert here.there == []
    assert here.fedctl("pull").code == ExitCode.OK
    assert here.repo.ranges(PATH)[-1] == "bytes=10000-"


def test_a_slow_server_is_borne_as_long_as_it_says_something(here: Here) -> None:
    here.repo.silent.add(PATH)
    answer = here.fedctl("pull", "--timeout", "0.3")
    assert answer.code == ExitCode.UNAVAILABLE
    assert here.there == []


def test_a_pull_that_is_killed_leaves_nothing_under_the_name_and_the_next_goes_on(here: Here) -> None:
    here.repo.silent.add(PATH)
    running = subprocess.Popen(here.words("pull"), env=here.env, stderr=subprocess.DEVNULL)
    assert here.repo.begun.wait(30)
    while not here.parts or here.parts[0].stat().st_size < len(CONTENT) // 2:
        assert running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert here.there == []
    here.repo.silent.clear()
    assert here.fedctl("pull").code == ExitCode.OK
    assert here.repo.ranges(PATH)[-1] == f"bytes={len(CONTENT) // 2}-"
    assert (here.folder / ARCHIVE).read_bytes() == CONTENT


def test_other_bytes_than_the_pinned_ones_are_refused_and_not_kept(here: Here) -> None:
    here.repo.files[PATH] = packed(NAME, VERSION)
    answer = here.fedctl("pull")
    assert answer.code == ExitCode.REFUSED
    assert digest(CONTENT) in answer.err
    assert digest(here.repo.files[PATH]) in answer.err
    assert (here.there, here.parts) == ([], [])


def test_what_an_earlier_pull_has_left_is_no_reason_to_refuse_what_is_right(here: Here) -> None:
    here.folder.mkdir()
    (here.folder / f".{ARCHIVE}.{digest(CONTENT)[7:19]}.part").write_bytes(b"x" * 500)
    assert here.fedctl("pull").code == ExitCode.OK
    assert here.repo.ranges(PATH) == ["bytes=500-", ""]


def test_a_file_that_is_not_the_pinned_one_is_named_and_replaced(here: Here) -> None:
    here.folder.mkdir()
    (here.folder / ARCHIVE).write_bytes(packed(NAME, VERSION))
    answer = here.fedctl("verify", "-o", "json")
    assert answer.code == ExitCode.REFUSED
    assert json.loads(answer.out)["items"][0]["state"] == "wrong"
    assert here.fedctl("pull").code == ExitCode.OK
    assert here.fedctl("verify").code == ExitCode.OK


@pytest.mark.parametrize(
    ("gone", "code"),
    [(PATH, ExitCode.NOT_FOUND), ("/index.yaml", ExitCode.NOT_FOUND)],
)
def test_what_is_not_there_is_said_with_its_address(here: Here, gone: str, code: ExitCode) -> None:
    del here.repo.files[gone]
    answer = here.fedctl("pull")
    assert answer.code == code
    assert f"{here.repo.url}{gone} is not there (404)" in answer.err


def test_a_version_that_the_index_does_not_have_is_said(here: Here) -> None:
    here.pin(version="4.5.0")
    answer = here.fedctl("pull")
    assert answer.code == ExitCode.NOT_FOUND
    assert f"has no {NAME} 4.5.0" in answer.err


def test_an_index_that_is_none_is_said(here: Here) -> None:
    here.repo.files["/index.yaml"] = b"<html>please sign in</html>"
    answer = here.fedctl("pull")
    assert answer.code == ExitCode.UNAVAILABLE
    assert "is no index of charts" in answer.err


def test_a_redirect_is_followed(here: Here) -> None:
    here.repo.files["/elsewhere.tgz"] = here.repo.files.pop(PATH)
    here.repo.moved[PATH] = "/elsewhere.tgz"
    assert here.fedctl("pull").code == ExitCode.OK


def test_behind_a_mirror_nobody_else_is_asked(here: Here) -> None:
    """Its index is a copy, and names the archive where the original has it."""
    with repository() as mirror:
        mirror.add(NAME, VERSION, CONTENT, f"{here.repo.url}{PATH}")
        assert here.fedctl("pull", "--mirror", f"{NAME}={mirror.url}").code == ExitCode.OK
        assert [path for path, _range in mirror.asked] == ["/index.yaml", PATH]
    assert here.repo.asked == []


def test_a_chart_without_a_digest_is_fetched_only_by_who_says_so(here: Here) -> None:
    here.pin(digest=None, digest_from=None)
    answer = here.fedctl("pull")
    assert (answer.code, here.there) == (ExitCode.REFUSED, [])
    assert "no digest is pinned" in answer.err
    answer = here.fedctl("pull", "--trust-first")
    assert (answer.code, here.there) == (ExitCode.OK, [ARCHIVE])
    assert f"compare {digest(CONTENT)}" in answer.err
    assert here.fedctl("verify").code == ExitCode.REFUSED, "it is there, and nobody has said that it is right"
    assert here.fedctl("verify", "--digest", f"{NAME}={digest(CONTENT)}").code == ExitCode.OK


def test_a_chart_that_cannot_be_had_keeps_no_other_from_coming(here: Here) -> None:
    here.repo.add("traefik", "41.6.0", packed("traefik", "41.6.0"))
    body = yaml.safe_load(here.pins.read_text())
    [chart] = body["spec"]["charts"]
    other = {**chart, "name": "traefik", "version": "41.6.0", "digest": digest(packed("traefik", "41.6.0"))}
    body["spec"]["charts"] = [{**chart, "version": "4.5.0"}, other]
    here.pins.write_text(yaml.safe_dump(body))
    answer = here.fedctl("pull")
    assert (answer.code, here.there) == (ExitCode.NOT_FOUND, ["traefik-41.6.0.tgz"])


def test_what_is_trusted_first_is_that_chart_at_least(here: Here) -> None:
    here.pin(digest=None, digest_from=None)
    for content in (b"<html>please sign in</html>", packed("other", VERSION)):
        here.repo.files[PATH] = content
        answer = here.fedctl("pull", "--trust-first")
        assert (answer.code, here.there, here.parts) == (ExitCode.REFUSED, [], []), answer.err


def test_an_older_archive_beside_it_is_told_because_agents_want_one(here: Here) -> None:
    here.fedctl("pull")
    (here.folder / f"{NAME}-4.3.5.tgz").write_bytes(packed(NAME, "4.3.5"))
    answer = here.fedctl("verify")
    assert answer.code == ExitCode.REFUSED
    assert f"{NAME}-4.3.5.tgz" in answer.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull", "jupiterhub"), "did you mean jupyterhub?"),
        (("pull", "--mirror", "ftp://mirror"), "is no repository of charts"),
        (("pull", "--mirror", "https://me:secret@mirror"), "has a password in it"),
        (("verify", "--digest", f"{NAME}=abc"), "is not a digest"),
        (("verify", "--digest", "abc"), "is not NAME=VALUE"),
    ],
)
def test_bad_words_are_refused_before_anything_is_asked(here: Here, words: tuple[str, ...], said: str) -> None:
    answer = here.fedctl(*words)
    assert answer.code == ExitCode.BAD_INPUT
    assert said in answer.err
    assert here.repo.asked == []


def test_a_folder_has_to_be_named_or_known(here: Here) -> None:
    done = subprocess.run([FEDCTL, "charts", "verify"], capture_output=True, text=True, check=False, env=here.env)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "HUBFED_CHARTS" in done.stderr
