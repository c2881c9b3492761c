"""Starting a federation: by two at the same moment, and by somebody who changes her mind."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.etcd import safe_etcd
from tests.support.federation import Federation, marked, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def nothing_yet() -> Iterator[Federation]:
    """A directory where no federation is; what a test starts there is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="hubfed-test-"))
    folder.chmod(0o711)
    here = Federation(folder)
    safe_etcd()
    try:
        yield here
    finally:
        here.fedctl("down", "--dir", str(here.dir), "--delete", "--yes", ok=False)
        left = marked(str(here.dir.resolve()))
        shutil.rmtree(folder, ignore_errors=True)
        assert left == [], f"left running after down: {left}"


def test_of_two_starts_at_once_the_second_waits_and_finds_it_up(nothing_yet: Federation) -> None:
    words = ("up", "--dir", str(nothing_yet.dir), "--sites", "iu", "-o", "json")
    both = [nothing_yet.begin(*words) for _ in range(2)]
    ends = [one.communicate(timeout=180) for one in both]
    assert [one.returncode for one in both] == [0, 0], (ends, nothing_yet.logs())
    listed = [{(item["role"], item["pid"]) for item in json.loads(out)["items"]} for out, _err in ends]
    assert {role for role, _pid in listed[0]} >= {"etcd", "coordinator", "agent", "frontdoor"}
    assert listed[0] == listed[1], "nobody stopped what the other had started"
    assert sorted(err.count("waiting for it") for _out, err in ends) == [0, 1], ends
    assert sorted(err.count("runs already") for _out, err in ends) == [0, 1], ends


def test_a_start_that_is_interrupted_leaves_nothing_running_and_no_context(nothing_yet: Federation) -> None:
    starting = nothing_yet.begin("up", "--dir", str(nothing_yet.dir), "--sites", "iu")
    assert starting.stderr is not None
    said = ""
    while "starting a federation" not in said:
        said += (line := starting.stderr.readline())
        assert line, said
    starting.send_signal(signal.SIGINT)
    _out, err = starting.communicate(timeout=120)
    assert starting.returncode == 130, err
    assert "stopping what was started" in err
    assert marked(str(nothing_yet.dir.resolve())) == []
    assert nothing_yet.dir.name not in nothing_yet.fedctl("context", "list").out


def test_a_federation_that_was_deleted_begins_anew_in_its_directory(nothing_yet: Federation) -> None:
    """With journals of its own: what fencers of this boot have written down of the earlier one says nothing of it."""
    here, words = nothing_yet, ("--dir", str(nothing_yet.dir))
    here.fedctl("up", *words, "--sites", "iu")
    here.fedctl("down", *words)
    here.fedctl("up", *words)  # the agent's second incarnation
    here.fedctl("down", *words, "--delete", "--yes")
    assert not here.dir.exists()
    here.fedctl("up", *words, "--sites", "iu")
    here.fedctl("place", str(here.classroom("anew", storage={"type": "none"}, placement={"allow": ["iu"]})))
    fencer = here.dir / "logs/fencer-iu.log"
    until(lambda: here.condition("anew", "Serving") == "True" and here.login_page("anew"), "it serves", 60, here.logs)
    ended = [line for line in fencer.read_text().splitlines() if '"history.fenced"' in line and '"canary-' not in line]
    assert ended == [], "the fencer has nothing to end"
