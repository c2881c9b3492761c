"""The lease file's directory: in memory, private, one per state directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from federation.model.errors import Unavailable
from federation.runtime.volatile import file_system, standard_bases, volatile_dir


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """A mount table in which the test's directory is a tmpfs."""
    return table(tmp_path, "tmpfs")


def table(folder: Path, kind: str) -> Path:
    device = folder.stat().st_dev
    path = folder / "mountinfo"
    path.write_text(f"1 0 {os.major(device)}:{os.minor(device)} / {folder} rw - {kind} none rw\n")
    return path


def test_it_is_private_and_the_same_each_time(tmp_path: Path, mounts: Path) -> None:
    bases = [tmp_path / "hubfed"]
    first = volatile_dir(tmp_path / "state", bases=bases, mounts=mounts)
    assert first.stat().st_mode & 0o777 == 0o700
    assert first.parent.stat().st_mode & 0o777 == 0o700
    assert volatile_dir(tmp_path / "state", bases=bases, mounts=mounts) == first


def test_two_federations_never_share_it(tmp_path: Path, mounts: Path) -> None:
    bases = [tmp_path / "hubfed"]
    assert volatile_dir(tmp_path / "a", bases=bases, mounts=mounts) != volatile_dir(
        tmp_path / "b", bases=bases, mounts=mounts
    )


def test_a_disk_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="survives a reboot"):
        volatile_dir(tmp_path, bases=[tmp_path / "hubfed"], mounts=table(tmp_path, "ext4"))


def test_a_directory_of_somebody_else_is_not_used(tmp_path: Path, mounts: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hubfed").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="belongs to somebody else"):
        volatile_dir(tmp_path, bases=[tmp_path / "hubfed"], mounts=mounts)


def test_the_first_base_that_is_in_memory_is_taken(tmp_path: Path, mounts: Path) -> None:
    bases = [Path("/proc/hubfed"), tmp_path / "hubfed"]
    assert volatile_dir(tmp_path, bases=bases, mounts=mounts).parent == tmp_path / "hubfed"


def test_the_users_runtime_directory_comes_first() -> None:
    assert next(iter(standard_bases({"XDG_RUNTIME_DIR": "/run/user/7"}))) == Path("/run/user/7/hubfed")


def test_shared_memory_is_a_tmpfs_on_this_machine() -> None:
    assert file_system(Path("/dev/shm")) == "tmpfs"
