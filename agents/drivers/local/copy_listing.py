"""Copies as the store describes them: what `restic snapshots --json` and `ls --json` say, and the tags of an agent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.drivers.base import Copy
from agents.drivers.local.copied_tree import Sizes
from federation.model.identity import Epoch

BLOCK = 4096
NANO = 1_000_000_000
NO_TEXT = re.compile("\ufffd+")
STAMP = re.compile(r"(.+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
UNSENT = "unsent"
"""Tag of a copy of work that was never sent: `tree` is all of the tree, `changes` what is new in it."""


def tags(epoch: Epoch, run: str, sizes: Sizes) -> tuple[str, ...]:
    """What a copy carries besides its files."""
    named = {
        "epoch": str(epoch), "run": run, "files": sizes.files, "bytes": sizes.bytes, "on-disk": sizes.on_disk
    }  # fmt: skip
    return tuple(f"{name}={value}" for name, value in named.items())


@dataclass(frozen=True, slots=True)
class Described:
    """One copy and what is at its top."""

    copy: Copy
    hub: str
    on_disk: int
    homes: frozenset[str]

    def room(self, *, sparse: bool) -> int:
        """How many bytes a restore takes; without `sparse` holes are filled."""
        return (self.on_disk if sparse else self.copy.bytes) + self.copy.files * BLOCK


def copies(said: str) -> tuple[Copy, ...]:
    """From `snapshots --json`, oldest first."""
    listed: list[dict[str, Any]] = next((json.loads(line) for line in said.splitlines() if line.startswith("[")), [])
    return tuple(sorted((_copy(snapshot) for snapshot in listed), key=lambda copy: copy.taken))


def described(said: str) -> Described | None:
    """From `ls --json SNAPSHOT /`; None if the snapshot is not there."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    if not lines:
        return None
    snapshot, entries = lines[0], lines[1:]
    homes = (str(entry["name"]) for entry in entries if entry.get("type") == "dir")
    marks = _tags(snapshot)
    return Described(
        copy=_copy(snapshot),
        hub=str(snapshot.get("hostname", "")),
        on_disk=_number(marks, "on-disk"),
        homes=frozenset(home for home in homes if not home.startswith(".")),
    )


@dataclass(frozen=True, slots=True)
class Node:
    """One file or link of a copy. `mtime_ns` is what a restore sets."""

    kind: str
    bytes: int
    mtime_ns: int


def nodes(lines: Iterable[str]) -> dict[str, Node]:
    """From `ls --json --recursive`: path, as `legible` has it, -> what is there, without folders."""
    found = (json.loads(line) for line in lines if '"struct_type":"node"' in line)
    return {legible(str(one["path"]).removeprefix("/")): _node(one) for one in found if one.get("type") != "dir"}


def legible(path: str) -> str:
    """A path as it can be compared after it came through JSON: bytes that are no text are one mark."""
    return NO_TEXT.sub("\ufffd", path)


def _node(one: Mapping[str, Any]) -> Node:
    kind, match = str(one.get("type")), STAMP.fullmatch(str(one.get("mtime", "")))
    mtime_ns = 0
    if match is not None:  # Python's own reading of a time ends at microseconds
        whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
        mtime_ns = int(whole.timestamp()) * NANO + int((match[2] or "0").ljust(9, "0")[:9])
    return Node(kind, int(one.get("size", 0)) if kind == "file" else 0, mtime_ns)


def _copy(snapshot: Mapping[str, Any]) -> Copy:
    marks = _tags(snapshot)
    era, _, n = marks.get("epoch", "").partition(".")
    epoch = Epoch(era=int(era), n=int(n)) if era.isdecimal() and n.isdecimal() else None
    return Copy(
        snapshot=str(snapshot["id"]),
        taken=datetime.fromisoformat(str(snapshot["time"])),
        epoch=epoch,
        run=marks.get("run", ""),
        files=_number(marks, "files"),
        bytes=_number(marks, "bytes"),
        unsent=UNSENT in marks,
    )


def _tags(snapshot: Mapping[str, Any]) -> dict[str, str]:
    pairs = (str(tag).partition("=") for tag in snapshot.get("tags") or ())
    return {name: value for name, _, value in pairs}


def _number(marks: Mapping[str, str], name: str) -> int:
    value = marks.get(name, "")
    return int(value) if value.isdecimal() else 0
