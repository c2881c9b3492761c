"""The end of a log, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.drivers.local.log_tail import BLOCK, follow, last_lines
from federation.runtime.clock import SystemClock


@pytest.mark.parametrize(("count", "wanted"), [(0, b""), (1, b"c\n"), (2, b"b\nc\n"), (9, b"a\nb\nc\n")])
def test_the_last_lines(tmp_path: Path, count: int, wanted: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb\nc\n")
    assert last_lines(path, count) == wanted


def test_lines_longer_than_a_block_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    long = b"x" * (BLOCK * 2) + b"\n"
    path.write_bytes(b"first\n" + long + b"last\n")
    assert last_lines(path, 2) == long + b"last\n"


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none", 5) == b""


async def test_follow_gives_the_tail_then_what_is_appended_then_a_replaced_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb\n")
    lines = follow(path, 1, SystemClock())
    assert await anext(lines) == b"b\n"
    with path.open("ab") as file:
        file.write(b"c\n")
    assert await anext(lines) == b"c\n"
    path.write_bytes(b"z\n")
    assert await anext(lines) == b"z\n"
    await lines.aclose()  # type: ignore[attr-defined]
