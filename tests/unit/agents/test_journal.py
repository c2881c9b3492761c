"""The journal: durable before visible, whole or not at all, never another site's."""

from pathlib import Path

import pytest

from agents.journal import Journal, SingleWriter
from federation.model.errors import Refused, RegisterFault, Unavailable
from federation.model.identity import Epoch
from federation.runtime.disk import LocalDisk

E1 = Epoch(era=1, n=1)


def journal(folder: Path, disk: LocalDisk | None = None, uid: str = "u1") -> Journal:
    return Journal.open(folder / "journal.json", disk or LocalDisk(), site="iu", uid=uid)


class FullDisk(LocalDisk):
    def replace(self, path: Path, content: bytes, *, durable: bool = True) -> None:
        raise Unavailable(f"cannot write {path}: No space left on device")


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    journal(tmp_path).write(incarnation=4, floor={"h1": E1})
    again = journal(tmp_path).record
    assert (again.incarnation, again.floor) == (4, {"h1": E1})


def test_a_full_disk_changes_nothing_in_memory_either(tmp_path: Path) -> None:
    ours = journal(tmp_path, FullDisk())
    with pytest.raises(Unavailable, match="No space left"):
        ours.write(floor={"h1": E1})
    assert ours.record.floor == {}


def test_a_real_write_error_leaves_the_old_content_whole(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    ours = Journal.open(folder / "journal.json", LocalDisk(), site="iu", uid="u1")
    ours.write(incarnation=1)
    blocked = Journal.open(folder / "journal.json", LocalDisk(), site="iu", uid="u1")
    (folder / "journal.json").rename(tmp_path / "saved")
    folder.rmdir()
    folder.write_text("a file where the folder was")
    with pytest.raises(Unavailable, match="cannot write"):
        blocked.write(incarnation=2)
    assert blocked.record.incarnation == 1


@pytest.mark.parametrize("damage", [b"", b"{", b'{"checksum": "x", "journal": "{}"}', b"[]", b"\x00" * 64])
def test_a_damaged_journal_is_a_fault_and_never_guessed_at(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "journal.json").write_bytes(damage)
    with pytest.raises(RegisterFault, match=r"journal\.json"):
        journal(tmp_path)


def test_a_journal_of_another_member_is_refused(tmp_path: Path) -> None:
    journal(tmp_path).write(incarnation=1)
    with pytest.raises(RegisterFault, match="is the journal of iu u1, this agent is iu u2"):
        journal(tmp_path, uid="u2")


def test_two_agents_of_one_site_never_write_one_journal(tmp_path: Path) -> None:
    first = SingleWriter(tmp_path)
    with pytest.raises(Refused, match="another agent holds"):
        SingleWriter(tmp_path)
    first.release()
    SingleWriter(tmp_path).release()
