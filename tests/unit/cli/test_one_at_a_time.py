"""Two that start or stop one federation's directory at once: the second waits, and says so."""

from __future__ import annotations

import io
import shutil
import signal
import threading
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from federation.cli.local.layout import Layout
from federation.cli.local.one_at_a_time import alone
from federation.runtime.clock import SystemClock
from federation.runtime.processes import Launch, SystemProcesses


class Second:
    """Wants the directory, too, and holds it for a moment."""

    def __init__(self, layout: Layout) -> None:
        self.came = threading.Event()
        self._layout = layout
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with alone(self._layout):
            assert self._layout.start_lock.exists()
            self.came.set()

    def end(self) -> None:
        assert self.came.wait(5), "it was its turn"
        self._thread.join()


def waits(said: io.StringIO, second: Second) -> str:
    while "waiting" not in said.getvalue():
        threading.Event().wait(0.01)
    assert not second.came.is_set()
    return said.getvalue()


def test_the_second_says_that_it_waits_and_then_has_its_turn(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "f")
    with redirect_stderr(io.StringIO()) as said:  # a capture that is emptied while another thread speaks loses words
        with alone(layout):
            second = Second(layout)
            assert f"in {layout.root}: waiting for it" in waits(said, second)
        second.end()
        before = said.getvalue()
        with alone(layout):
            pass
    assert said.getvalue() == before, "who need not wait says nothing"


def test_a_directory_that_was_deleted_meanwhile_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "f")
    with redirect_stderr(io.StringIO()) as said:
        with alone(layout):
            second = Second(layout)
            waits(said, second)
            shutil.rmtree(layout.root)
        second.end()


def test_what_was_started_meanwhile_does_not_keep_others_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, processes = Layout(tmp_path / "f"), SystemProcesses(SystemClock())
    with alone(layout):
        child = processes.spawn(Launch(("/bin/sleep", "60"), tmp_path / "log"))
    try:
        with alone(layout):
            assert processes.alive(child)
        assert capsys.readouterr().err == ""
    finally:
        processes.signal(child, signal.SIGKILL)
