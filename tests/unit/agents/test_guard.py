"""The fencer's rounds on virtual time, with a machine on which killing may take its time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from agents.drivers.stopper import Running, Unseen
from agents.guard import LATE_NS, Guard, newest_of
from federation.core.fencing import NOTHING_YET, Fence, Verdict

S = 1_000_000_000


@dataclass
class Machine:
    """Hubs by name with their processes; `stuck` ones survive. `looked` runs between look and kill. `blind`: why nothing
    can be seen."""

    hubs: dict[str, list[str]] = field(default_factory=dict)
    stuck: set[str] = field(default_factory=set)
    kills: list[str] = field(default_factory=list)
    looks: int = 0
    looked: Callable[[], None] = lambda: None
    blind: str = ""
    press_ns: int = S // 20

    def trouble(self) -> str:
        return self.blind

    def look(self, verdict: Verdict) -> Running[str]:
        self.looks += 1
        if self.blind:
            raise Unseen(self.blind)
        wanted = self.hubs if verdict.every_hub else verdict.hubs
        found = {hub: list(self.hubs[hub]) for hub in wanted if self.hubs.get(hub)}
        self.looked()
        return Running(found)

    def kill(self, hub: str, seen: Sequence[str]) -> None:
        self.kills.append(hub)
        self.hubs[hub] = [one for one in self.hubs[hub] if one not in seen or one in self.stuck]


@dataclass
class Site:
    """A guard with its files in memory."""

    now: int = 1000 * S
    content: bytes | None = None
    acks: list[dict[str, Any]] = field(default_factory=list)
    full: bool = False
    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    machine: Machine = field(default_factory=Machine)
    seq: int = 0

    def __post_init__(self) -> None:
        fence = Fence("boot", 100 * S, self.now)
        self.guard = Guard(fence, self, self.machine, lambda: self.now, self.say, "boot", 7)

    def changed(self) -> bool:
        return True

    def read(self) -> bytes | None:
        return self.content

    def acknowledge(self, content: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.acks.append(json.loads(content))

    def say(self, event: str, /, **fields: object) -> None:
        self.lines.append((event, fields))

    def said(self, event: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.lines if name == event]

    def write(self, **hubs: float | None) -> None:
        self.seq += 1
        times = {hub: None if s is None else self.now + int(s * S) for hub, s in hubs.items()}
        entries = {hub: {"epoch": [2, 5], "close_at": at, "stop_by": at} for hub, at in times.items()}
        self.content = json.dumps({"boot_id": "boot", "incarnation": 1, "seq": self.seq, "hubs": entries}).encode()

    def run(self, seconds: float) -> None:
        until = self.now + int(seconds * S)
        while self.now < until:
            self.now += self.guard.tick()


def test_a_lapsed_hub_is_killed_at_once_and_said_when_two_looks_found_nothing() -> None:
    site = Site(machine=Machine({"h": ["1", "2"]}))
    site.write(h=5)
    site.run(4.9)
    assert site.machine.looks == 0, "nothing has lapsed: nothing is looked for"
    site.run(0.5)
    assert site.machine.kills == ["h"]
    [line] = site.said("history.fenced")
    assert (line["hub"], line["epoch"]) == ("h", "2.5")
    assert site.acks[-1]["killed"] == ["h"]


def test_it_is_looked_for_every_second_for_ever() -> None:
    site = Site()
    site.write(h=0)
    site.run(3600)
    assert 3500 <= site.machine.looks <= 3700
    assert site.said("history.fenced") == [], "there was nothing to end"
    site.machine.hubs["h"] = ["late"]
    site.run(1.5)
    assert site.machine.hubs["h"] == []
    assert len(site.said("history.fenced")) == 1


def test_the_file_is_read_again_immediately_before_the_kill() -> None:
    site = Site(machine=Machine({"h": ["1"]}))
    site.write(h=0)
    site.machine.looked = lambda: site.write(h=30)
    site.run(1)
    assert site.machine.kills == []


def test_what_survives_is_said_and_tried_again_without_end() -> None:
    site = Site(machine=Machine({"h": ["1"]}, stuck={"1"}))
    site.write(h=0)
    site.run(60)
    assert site.said("history.fenced") == []
    assert 5 <= len(site.said("fencer.left")) <= 7
    assert site.acks[-1]["left"] == {"h": 1}
    assert 60 <= len(site.machine.kills) <= 100
    site.machine.stuck.clear()
    site.run(2)
    assert len(site.said("history.fenced")) == 1
    assert site.acks[-1]["left"] == {}


def test_acknowledgements_come_at_least_every_half_second_and_at_once_with_news() -> None:
    site = Site()
    site.write(s=None)
    site.run(10)
    times = [ack["at"] for ack in site.acks]
    assert max(after - before for before, after in pairwise(times)) <= S // 2
    site.write(s=None)
    site.run(0.16)
    assert site.acks[-1]["seq"] == site.seq
    assert site.acks[-1].keys() == {"boot_id", "incarnation", "seq", "at", "pid", "newest", "killed", "left", "blind"}


def test_a_full_tmpfs_is_said_once_and_stops_nothing() -> None:
    site = Site(machine=Machine({"h": ["1"]}))
    site.write(h=1)
    site.full = True
    site.run(5)
    assert site.machine.kills == ["h"]
    assert len(site.said("fencer.ack_failed")) == 1
    site.full = False
    site.run(1)
    assert site.acks


def test_nothing_was_accepted_yet_is_no_acknowledgement_of_any_file() -> None:
    site = Site(content=b"garbage")
    site.run(1)
    assert (site.acks[-1]["incarnation"], site.acks[-1]["seq"]) == (-1, -1)
    assert len(site.said("fencer.unread")) == 1


def test_what_a_fencer_has_taken_is_known_to_the_next_one_of_this_boot() -> None:
    site = Site()
    site.write(h=5)
    site.run(1)
    left = json.dumps(site.acks[-1]).encode()
    assert newest_of(left, "boot") == (1, 1)
    assert newest_of(left, "another boot") == NOTHING_YET
    assert newest_of(None, "boot") == newest_of(b"half of {", "boot") == NOTHING_YET


def test_a_hub_that_left_the_file_is_forgotten_when_it_is_long_gone() -> None:
    site = Site(machine=Machine({"h": ["1"]}))
    site.write(h=2)
    site.run(0.5)
    site.write()
    site.run(3)
    assert site.machine.hubs["h"] == []
    site.run(LATE_NS / S + 10)
    looks = site.machine.looks
    site.run(100)
    assert site.machine.looks == looks


def test_with_nothing_known_all_that_runs_is_ended() -> None:
    site = Site(machine=Machine({"h": ["1"], "i": ["2"]}))
    site.run(5)
    assert site.machine.hubs == {"h": [], "i": []}
    assert {line["hub"] for line in site.said("history.fenced")} == {"h", "i"}


def test_what_cannot_be_seen_is_neither_ended_nor_gone_and_is_ended_as_soon_as_it_is_seen() -> None:
    site = Site()
    site.machine.hubs["h"] = ["p1"]
    site.write(h=1)
    site.machine.blind = "nobody answers"
    site.run(30)
    assert site.machine.kills == []
    assert site.said("history.fenced") == [], "nobody has seen it end"
    assert {line["why"] for line in site.said("fencer.unseen")} == {"nobody answers"}
    assert len(site.said("fencer.unseen")) <= 4, "not at every look"
    site.machine.blind = ""
    site.run(1)
    assert site.machine.hubs["h"] == []
    assert len(site.said("history.fenced")) == 1


def test_a_fencer_that_could_end_nothing_goes_on_acknowledging_and_says_so() -> None:
    site = Site()
    site.write(h=100)
    site.run(1)
    assert site.acks[-1]["blind"] == ""
    site.machine.blind = "nobody answers"
    before = len(site.acks)
    site.run(2)
    assert len(site.acks) >= before + 4
    assert site.acks[-1]["blind"] == "nobody answers"


@dataclass
class Disk:
    """What survives a boot."""

    names: frozenset[str] | None = None
    full: bool = False

    def remember(self, names: frozenset[str]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.names = names


def test_what_is_armed_is_remembered_before_it_is_acknowledged() -> None:
    site, disk = Site(), Disk(full=True)
    site.guard.memory = disk
    site.write(h=100, s=None)
    site.run(3)
    assert site.acks == [], "nothing that would be forgotten may be armed"
    disk.full = False
    site.run(1)
    assert disk.names == frozenset({"h"})
    assert site.acks[-1]["seq"] == site.seq
    site.write(s=None)
    site.run(1)
    assert disk.names == frozenset({"h"}), "one that left the file may still run"
