"""The mark by which a site knows the folder of its homes, when several classes are the first that need it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agents.drivers.base import Capacity
from agents.drivers.homes_local import LocalHomes
from agents.drivers.local.settings import LocalSettings
from federation.model.errors import DriverError
from federation.runtime.disk import LocalDisk


class SlowDisk(LocalDisk):
    def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        time.sleep(0.01 * (int.from_bytes(os.urandom(1)) % 4))
        super().replace(path, content, durable=durable)


def site(tmp_path: Path) -> LocalHomes:
    state = tmp_path / "state"
    state.mkdir()
    room = Capacity(1000, 1)
    return LocalHomes(LocalSettings("tacc", "test", state, tmp_path / "run", tmp_path / "homes", room), SlowDisk())


def test_classes_that_are_restored_at_once_at_a_site_without_homes_agree_on_one_mark(tmp_path: Path) -> None:
    homes = site(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(homes.check_volume) for _ in range(8)]:
            done.result()
    known, found = homes.is_mounted()
    assert known == found
    homes.check_volume()


def test_another_folder_is_seen_and_looking_changes_nothing(tmp_path: Path) -> None:
    homes = site(tmp_path)
    homes.check_volume()
    (tmp_path / "homes").rename(tmp_path / "unmounted")
    with pytest.raises(DriverError, match="is the volume mounted"):
        homes.is_mounted()
    assert not (tmp_path / "homes").exists()
