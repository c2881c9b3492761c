"""Students' safe names, uids and homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.drivers.local.students import make_home, uid_of
from federation.core.home_names import slug
from federation.model.errors import DriverError, Unavailable


@pytest.mark.parametrize("name", ["ada", "s01", "a_b-c"])
def test_a_safe_name_is_its_own_file_name(name: str) -> None:
    assert slug(name) == name


@pytest.mark.parametrize("name", ["../bob", "a/b", ".", "..", "Ada", "ada@example.edu", "ä", "", "x" * 200, "ada.x"])
def test_any_other_name_becomes_a_safe_one_that_no_user_can_have(name: str) -> None:
    made = slug(name)
    assert "/" not in made
    assert not made.startswith(("..", "-"))
    assert len(made) < 64
    assert slug(made) != made


def test_different_names_never_share_a_home() -> None:
    names = ["ada@x", "ada@y", "ADA", "ada", "a.da", "../ada", "ada."]
    assert len({slug(name) for name in names}) == len(names)


def test_a_uid_is_kept_and_never_shared(tmp_path: Path) -> None:
    file = tmp_path / "uids.json"
    ada = uid_of(file, "h1", "ada", 200_000)
    bob = uid_of(file, "h1", "bob", 200_000)
    other = uid_of(file, "h2", "ada", 200_000)
    assert [ada, bob, other] == [200_000, 200_001, 200_002]
    assert uid_of(file, "h1", "ada", 200_000) == ada


def test_a_broken_uid_file_is_an_error_and_gives_no_new_numbers(tmp_path: Path) -> None:
    file = tmp_path / "uids.json"
    file.write_text("{")
    with pytest.raises(DriverError, match="mixed up"):
        uid_of(file, "h1", "ada", 200_000)


def test_a_home_is_private(tmp_path: Path) -> None:
    home = make_home(tmp_path, "ada", None)
    assert home.stat().st_mode & 0o777 == 0o700
    assert make_home(tmp_path, "ada", None) == home


def test_a_symbolic_link_is_never_a_home(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "ada").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="symbolic link"):
        make_home(tmp_path, "ada", None)


@pytest.mark.needs_root
def test_a_home_that_came_from_another_site_is_given_to_the_uid_here(tmp_path: Path) -> None:
    home = make_home(tmp_path, "ada", 200_007)
    (home / "course").mkdir()
    (home / "course" / "a.ipynb").write_text("{}")
    (home / "link").symlink_to("/etc/passwd")
    make_home(tmp_path, "ada", 200_008)
    assert {p.lstat().st_uid for p in (home, *home.rglob("*"))} == {200_008}
    assert Path("/etc/passwd").stat().st_uid == 0
