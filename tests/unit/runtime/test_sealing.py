"""Sealed secrets: only the agent they were sealed to can open them, and nothing shows them by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.model.errors import InvalidRequest
from federation.runtime.disk import LocalDisk
from federation.runtime.sealing import SHOWN, SealingKey, Secret, seal


def test_its_owner_opens_a_box_and_nobody_else() -> None:
    owner, other = SealingKey.generate(), SealingKey.generate()
    box = seal(owner.public, b"s3cret")
    assert b"s3cret" not in box
    assert owner.open(box) == b"s3cret"
    with pytest.raises(InvalidRequest, match="does not open"):
        other.open(box)


def test_the_same_value_is_never_sealed_to_the_same_bytes() -> None:
    key = SealingKey.generate()
    assert seal(key.public, b"x") != seal(key.public, b"x")


@pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 20), slice(0, -1), slice(1, None)])
def test_a_damaged_box_does_not_open(cut: slice) -> None:
    key = SealingKey.generate()
    with pytest.raises(InvalidRequest):
        key.open(seal(key.public, b"value")[cut])


@pytest.mark.parametrize("public", ["", "no base64!", "c2hvcnQ=", "ü", "A" * 43 + "="])
def test_what_is_no_public_key_is_refused(public: str) -> None:
    with pytest.raises(InvalidRequest):
        seal(public, b"value")


def test_a_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path, disk = tmp_path / "agent" / "sealing.key", LocalDisk()
    first = SealingKey.open_or_create(path, disk)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SealingKey.open_or_create(path, disk).open(seal(first.public, b"v")) == b"v"


def test_a_broken_key_file_is_never_replaced(tmp_path: Path) -> None:
    path, disk = tmp_path / "sealing.key", LocalDisk()
    disk.replace(path, b"half a k")
    with pytest.raises(InvalidRequest, match="holds no sealing key"):
        SealingKey.open_or_create(path, disk)
    assert path.read_bytes() == b"half a k"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret, key = Secret("hunter2"), SealingKey.generate()
    assert secret.reveal() == "hunter2"
    assert f"{secret} {secret!r} {[secret]}" == f"{SHOWN} {SHOWN} [{SHOWN}]"
    assert repr(key) == f"SealingKey(public={key.public})"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
