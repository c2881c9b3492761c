"""Which etcd goes on with the data of an earlier start: the one that wrote them, whatever has turned up since."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from federation.cli.local.layout import Layout
from federation.cli.local.register_data import choose_etcd, record
from federation.model.errors import FederationError, InvalidRequest, Refused
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import SystemProcesses


class Machine:
    """A federation's directory, and etcds on PATH and in the cache that can only say their version."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.layout = Layout(folder / "federation")
        monkeypatch.setenv("PATH", str(folder / "bin"))
        monkeypatch.setattr(sys, "executable", str(folder / "python"))  # beside which the `embedded` extra may be
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def on_path(self, version: str) -> Path:
        return self._fake(self._folder / "bin/etcd", version)

    def in_cache(self, version: str) -> Path:
        return self._fake(self._folder / f"cache/hubfed/etcd-{version}/usr/bin/etcd", version)

    def start(self) -> str:
        """What `fedctl up` does before members run; returns the version that it runs."""
        disk = LocalDisk()
        etcd = asyncio.run(choose_etcd(self.layout, SystemProcesses(SystemClock()), disk))
        record(self.layout, etcd, disk)
        self.layout.state("etcd", "iu", "member").mkdir(parents=True, exist_ok=True)
        return etcd.version

    @staticmethod
    def _fake(path: Path, version: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho 'etcd Version: {version}'\n")
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_safer_but_earlier_etcd_that_turns_up_later_is_not_taken(machine: Machine) -> None:
    machine.on_path("3.5.1")
    assert machine.start() == "3.5.1", "there was no other"
    machine.in_cache("3.4.23")
    assert machine.start() == "3.5.1"


def test_if_only_an_earlier_etcd_is_left_it_is_refused_at_once_with_both_versions(machine: Machine) -> None:
    first = machine.on_path("3.5.9")
    machine.start()
    first.unlink()
    second = machine.in_cache("3.4.23")
    with pytest.raises(Refused) as refused:
        machine.start()
    for said in ("3.5.9", str(first), "3.4.23", str(second)):
        assert said in refused.value.message
    assert "etcd 3.5 on PATH" in refused.value.help
    assert "fedctl down --delete" in refused.value.help
    machine.on_path("3.5.9")
    assert machine.start() == "3.5.9", "nothing is lost"


@pytest.mark.parametrize(
    ("wrote", "now", "taken"),
    [
        ("3.4.23", "3.5.9", "3.4.23"),  # there is no way back from 3.5: not without need
        ("3.5.1", "3.5.9", "3.5.9"),  # a mended patch of the same data
        ("3.5.9", "3.5.1", "3.5.9"),
    ],
)
def test_of_two_that_can_read_the_data_the_better_one_runs(machine: Machine, wrote: str, now: str, taken: str) -> None:
    machine.in_cache(wrote)
    machine.start()
    machine.on_path(now)
    assert machine.start() == taken


@pytest.mark.parametrize(
    ("wrote", "now", "can"),
    [("3.4.23", "3.5.9", True), ("3.4.23", "3.4.20", True), ("3.4.23", "3.6.0", False), ("3.5.9", "4.0.0", False)],
)
def test_another_etcd_alone_reads_its_own_minor_version_and_the_one_before(
    machine: Machine, wrote: str, now: str, can: bool
) -> None:
    machine.on_path(wrote)
    machine.start()
    machine.on_path(now)  # e.g. by an upgrade of the machine
    if can:
        assert machine.start() == now
    else:
        with pytest.raises(FederationError, match=now):
            machine.start()


def test_without_data_the_choice_is_free(machine: Machine) -> None:
    machine.on_path("3.5.9")
    machine.start()
    machine.layout.state("etcd", "iu", "member").rmdir()
    machine.on_path("3.4.23")
    assert machine.start() == "3.4.23"


def test_a_damaged_record_is_not_guessed_at(machine: Machine) -> None:
    machine.on_path("3.5.9")
    machine.start()
    machine.layout.state("etcd", "made-by.json").write_text('{"version": "x"}')
    with pytest.raises(InvalidRequest, match=r"made-by\.json is damaged"):
        machine.start()
