"""Which restic is taken, and what its exit codes and words mean in old and new versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.model.errors import Unavailable
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from federation.runtime.restic_program import Restic, Trouble, find_restic

OLD = Restic(Path("restic"), (0, 14, 0))
NEW = Restic(Path("restic"), (0, 18, 1))

SAID_BY_0_14 = [
    (Trouble.NO_REPOSITORY, "Fatal: unable to open config file: stat /s/iu/h/config: no such file or directory"),
    (Trouble.NO_REPOSITORY, "Fatal: unable to open config file: Stat: The specified key does not exist."),
    (Trouble.DENIED, "Fatal: unable to open config file: Stat: The AWS Access Key Id you provided does not exist."),
    (Trouble.DENIED, "Fatal: unable to open config file: Stat: The request signature we calculated does not match"),
    (
        Trouble.UNREACHABLE,
        "Fatal: unable to open config file: Stat: Get: x509: certificate signed by unknown authority",
    ),
    (Trouble.OTHER, "Fatal: unable to open config file: Stat: The specified bucket does not exist."),
    (Trouble.WRONG_PASSWORD, "Fatal: wrong password or no key found"),
    (Trouble.HALF_MADE, "Fatal: config or key 3a5235 is damaged: ciphertext verification failed"),
    (Trouble.LOCKED, "Fatal: unable to create lock in backend: repository is already locked exclusively by PID 7 on h"),
    (Trouble.NO_SNAPSHOT, 'Ignoring "99999999": no matching ID found for prefix "99999999"'),
    (Trouble.DAMAGED, "Fatal: unable to load index 4c6a: ciphertext verification failed"),
    (Trouble.FULL, "Fatal: unable to save snapshot: write /s/data/x-tmp-1: no space left on device"),
    (Trouble.DENIED, "Fatal: unable to create lock in backend: client.PutObject: Access Denied."),
    (Trouble.UNREACHABLE, "Load(<config/>, 0, 0) returned error, retrying after 1s: dial tcp: connection refused"),
    (Trouble.OTHER, "Fatal: something that nobody has seen yet"),
]


@pytest.mark.parametrize(("trouble", "said"), SAID_BY_0_14)
def test_a_restic_without_exit_codes_is_understood_by_its_words(trouble: Trouble, said: str) -> None:
    assert OLD.trouble(1, said) is trouble


def test_the_name_of_a_students_file_is_not_taken_for_a_message() -> None:
    said = '{"message_type":"status","current_files":["/ada/wrong password or no key found"]}\nFatal: unable to save'
    assert OLD.trouble(1, said) is Trouble.OTHER


@pytest.mark.parametrize(
    ("code", "trouble"), [(10, Trouble.NO_REPOSITORY), (11, Trouble.LOCKED), (12, Trouble.WRONG_PASSWORD)]
)
def test_the_exit_codes_of_a_newer_one_need_no_words(code: int, trouble: Trouble) -> None:
    assert NEW.trouble(code, "") is trouble
    assert OLD.trouble(code, "") is Trouble.OTHER


def program(folder: Path, version: str) -> Path:
    path = folder / "restic"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'restic {version} compiled with go1.19.8 on linux/amd64'\n")
    path.chmod(0o755)
    return path


async def test_one_on_path_comes_before_the_cache_unless_it_is_too_old(tmp_path: Path) -> None:
    processes = SystemProcesses(SystemClock())
    on_path = program(tmp_path / "bin", "0.16.4")
    cached = program(tmp_path / "cache/hubfed/restic-0.14.0/usr/bin", "0.14.0")
    env = {"PATH": f"{on_path.parent}:/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    found = await find_restic(processes, tmp_path / "log", env)
    assert (found.path, found.version) == (on_path, (0, 16, 4))
    on_path.write_text(on_path.read_text().replace("0.16.4", "0.12.1"))
    assert (await find_restic(processes, tmp_path / "log", env)).path == cached


async def test_none_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no restic was found") as refused:
        await find_restic(
            SystemProcesses(SystemClock()), tmp_path / "log", {"PATH": str(tmp_path), "HOME": str(tmp_path)}
        )
    assert "scripts/get-restic" in refused.value.help
