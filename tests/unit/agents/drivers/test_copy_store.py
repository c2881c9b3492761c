"""Where repositories lie, what keys of a store are taken, and what restic's report of a copy is read as."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agents.drivers.local.copied_tree import MOST_UNREAD, STAGED, measure, read_report, stage_database
from agents.drivers.local.copy_listing import copies, described
from agents.drivers.local.copy_store import Repository, store_environment, store_refusal
from agents.drivers.local.settings import CopyStore
from federation.model.errors import DriverError
from federation.model.identity import Epoch

S3 = "s3:https://s3.example.edu/bucket/homes"


def keys(folder: Path, text: str, mode: int = 0o600) -> CopyStore:
    path = folder / "keys.env"
    path.write_text(text)
    path.chmod(mode)
    return CopyStore(S3, path)


def test_each_site_has_its_own_repository_of_a_hub() -> None:
    assert Repository.of(CopyStore("/srv/copies"), "iu", "atm101-abc123").folder == Path("/srv/copies/iu/atm101-abc123")
    on_s3 = Repository.of(CopyStore(S3 + "/"), "tacc", "atm101-abc123")
    assert (on_s3.url, on_s3.folder) == (f"{S3}/tacc/atm101-abc123", None)
    with pytest.raises(DriverError):
        Repository.of(CopyStore("/srv/copies"), "..", "atm101-abc123")


def test_keys_are_read_from_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    store = keys(tmp_path, '# of iu\nAWS_ACCESS_KEY_ID=iu\n\nAWS_SECRET_ACCESS_KEY="s=1"\n')
    assert store_environment(store) == {"AWS_ACCESS_KEY_ID": "iu", "AWS_SECRET_ACCESS_KEY": "s=1"}
    assert store_refusal(store, "iu") == ""
    assert "can be read by others" in store_refusal(keys(tmp_path, "AWS_ACCESS_KEY_ID=iu", 0o644), "iu")


def test_a_line_that_is_no_key_is_refused_without_being_shown(tmp_path: Path) -> None:
    for text in ("RESTIC_PASSWORD_COMMAND=touch x", "hunter2"):
        refusal = store_refusal(keys(tmp_path, text), "iu")
        assert "no AWS_... setting" in refusal
        assert text not in refusal


def test_a_folder_that_is_not_there_is_no_store(tmp_path: Path) -> None:
    assert "is it mounted" in store_refusal(CopyStore(str(tmp_path / "none")), "iu")
    assert store_refusal(CopyStore(str(tmp_path)), "iu") == ""


def test_the_report_names_changed_homes_the_copy_and_what_was_not_read() -> None:
    lines = [
        '{"message_type":"verbose_status","action":"unchanged","item":"/ada/","duration":0}',
        '{"message_type":"verbose_status","action":"new","item":"/bob/x/","duration":0}',
        '{"message_type":"verbose_status","action":"modified","item":"/bob/","duration":0}',
        '{"message_type":"error","error":{"Op":"open"},"during":"archival","item":"/homes/h/bob/shut"}',
        '{"message_type":"error","error":{"Op":"open"},"during":"scan","item":"/homes/h/bob/shut"}',
        "Warning: at least one source file could not be read",
        '{"message_type":"summary","total_files_processed":7,"data_added":99,"snapshot_id":"2df33f00"}',
    ]
    report = read_report(lines, Path("/homes/h"))
    assert report.changed == {"ada": False, "bob": True}
    assert (report.snapshot, report.files, report.bytes_added) == ("2df33f00", 7, 99)
    assert report.unread == ("bob/shut",)


def test_a_long_list_of_unread_files_is_cut_and_says_so() -> None:
    lines = [f'{{"message_type":"error","item":"/h/{n}"}}' for n in range(MOST_UNREAD + 5)]
    report = read_report(lines, Path("/h"))
    assert len(report.unread) == MOST_UNREAD + 1
    assert report.unread[-1] == "and 5 more"


def test_a_copy_that_no_agent_made_is_listed_without_an_epoch() -> None:
    said = 'Ignoring nothing\n[{"time":"2026-11-26T16:32:22.728453179Z","hostname":"h","tags":null,"id":"ab"}]'
    (copy,) = copies(said)
    assert (copy.snapshot, copy.epoch, copy.run, copy.bytes) == ("ab", None, "", 0)


def test_holes_need_room_only_where_restic_fills_them() -> None:
    tags = '["epoch=1.4","run=r","files=2","bytes=1000000","on-disk=4096"]'
    head = f'{{"time":"2026-11-26T16:32:22Z","hostname":"h","tags":{tags},"id":"ab"}}'
    found = described(f'{head}\n{{"name":"ada","type":"dir"}}\n{{"name":".x","type":"file"}}')
    assert found is not None
    assert (found.copy.epoch, found.homes) == (Epoch(era=1, n=4), frozenset({"ada"}))
    assert found.room(sparse=False) - found.room(sparse=True) == 1_000_000 - 4096
    assert described("") is None


def test_a_tree_is_measured_by_home(tmp_path: Path) -> None:
    (tmp_path / "ada/deep").mkdir(parents=True)
    (tmp_path / "ada/deep/x").write_bytes(b"12345")
    (tmp_path / "bob").mkdir()
    (tmp_path / ".mark").write_bytes(b"1")
    sizes = measure(tmp_path)
    assert sizes.homes == {"ada": 5, "bob": 0}
    assert (sizes.files, sizes.bytes) == (2, 6)


def test_what_a_killed_hub_had_not_committed_is_not_in_the_copy(tmp_path: Path) -> None:
    live, tree = tmp_path / "hub.sqlite", tmp_path / "tree"
    tree.mkdir()
    with closing(sqlite3.connect(live)) as opened, opened:
        opened.execute("CREATE TABLE users (name TEXT)")
        opened.executemany("INSERT INTO users VALUES (?)", [(f"s{n}",) for n in range(500)])
    killed = os.fork()
    if killed == 0:
        dying = sqlite3.connect(live)
        dying.execute("PRAGMA cache_size = 1")  # so that changes reach the file before they are committed
        dying.execute("UPDATE users SET name = 'lost' || hex(randomblob(200))")
        os._exit(0)
    os.waitpid(killed, 0)
    assert live.with_name("hub.sqlite-journal").exists()
    assert stage_database(live, tree)
    with closing(sqlite3.connect(tree / STAGED)) as copy:
        assert copy.execute("SELECT count(*) FROM users WHERE name LIKE 's%'").fetchone() == (500,)
