"""Finding a restic, what each version can do, and what its failures mean. Starts nothing but `restic version`.

0.14 (Debian 12) is the oldest that is used. It says what went wrong in words alone; newer ones have exit codes.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from federation.model.errors import Unavailable
from federation.runtime.processes import Launch, Processes

Version = tuple[int, int, int]
OLDEST: Version = (0, 14, 0)
SAID = re.compile(r"restic (\d+)\.(\d+)\.(\d+)")
# What came with which version. Whoever adds a use of something newer than 0.14 adds its line here.
EXIT_CODES: Version = (0, 17, 0)  # 10 no repository, 11 locked; 12 wrong password came with 0.17.1
PASSWORD_EXIT_CODE: Version = (0, 17, 1)
SPARSE: Version = (0, 15, 0)  # restore --sparse: holes stay holes; before, they are filled with zeros
FULL_IDS: Version = (0, 15, 0)  # the summary of `backup --json` names the snapshot in full, not by 8 digits
NO_SCAN: Version = (0, 15, 0)  # backup --no-scan: no second pass over the tree for the sake of a progress bar

SAVED, SAVED_IN_PART = 0, 3
"""Exit codes of `backup` under which there is a snapshot; 3: some files could not be read."""


class Trouble(StrEnum):
    """Why restic could not do it, as far as its caller acts on it."""

    NO_REPOSITORY = "no repository"
    LOCKED = "locked"
    WRONG_PASSWORD = "wrong password"  # noqa: S105 - no password
    HALF_MADE = "half made"
    DAMAGED = "damaged"
    DENIED = "denied"
    FULL = "full"
    UNREACHABLE = "unreachable"
    NO_SNAPSHOT = "no snapshot"
    OTHER = "other"


# In order: the first that is found in what restic said. A store that is full or denies something also fails "to load".
WORDS: tuple[tuple[Trouble, str], ...] = (
    (Trouble.FULL, r"no space left on device|disk quota exceeded|XMinioStorageFull|QuotaExceeded"),
    (Trouble.WRONG_PASSWORD, r"wrong password or no key found"),
    (Trouble.HALF_MADE, r"config or key \w+ is damaged"),
    (
        Trouble.DENIED,
        r"access ?denied|permission denied|403 Forbidden|request signature we calculated|Access Key Id you",
    ),
    (Trouble.UNREACHABLE, r"connection refused|no such host|i/o timeout|no route to host|network is unreachable"),
    (Trouble.UNREACHABLE, r"x509:|tls:|connection reset|EOF, retrying|503 Service|context deadline exceeded"),
    (Trouble.LOCKED, r"repository is already locked"),
    (Trouble.NO_SNAPSHOT, r"no matching ID found|no snapshot found"),
    # only this: whatever else keeps the config from being opened must never look like a repository to be made
    (Trouble.NO_REPOSITORY, r"open config file: (stat .*: no such file or directory|.*specified key does not exist)"),
    (Trouble.DAMAGED, r"ciphertext verification failed|damaged|invalid data returned|not found in (repository|index)"),
    (Trouble.DAMAGED, r"id .* not found|unexpected EOF|hash (does not match|mismatch)|invalid character|invalid pack"),
    (Trouble.DAMAGED, r"Invalid file size|Unexpected (contents|content)|no such file or directory"),
)


@dataclass(frozen=True, slots=True)
class Restic:
    """A restic program."""

    path: Path
    version: Version

    def can(self, since: Version) -> bool:
        """Whether it has what came with version `since`."""
        return self.version >= since

    def __str__(self) -> str:
        return ".".join(str(part) for part in self.version)

    def trouble(self, code: int, said: str) -> Trouble:
        """What an exit code that is neither 0 nor 3 means, together with what restic said."""
        known = {10: Trouble.NO_REPOSITORY, 11: Trouble.LOCKED} if self.can(EXIT_CODES) else {}
        if self.can(PASSWORD_EXIT_CODE):
            known[12] = Trouble.WRONG_PASSWORD
        if code in known:
            return known[code]
        lines = [line for line in said.splitlines() if not line.startswith("{")]  # JSON is full of students' file names
        fatal = [line for line in lines if line.startswith("Fatal:")]
        meant = (_meaning("\n".join(part)) for part in (fatal, lines))
        return next((what for what in meant if what is not Trouble.OTHER), Trouble.OTHER)


def _meaning(said: str) -> Trouble:
    return next((what for what, words in WORDS if re.search(words, said, re.IGNORECASE)), Trouble.OTHER)


async def find_restic(processes: Processes, log: Path, env: Mapping[str, str] = os.environ) -> Restic:
    """The first of PATH and the cache of `scripts/get-restic` that is new enough; else Unavailable says how to get it."""
    tried: list[str] = []
    for path in _candidates(env):
        launch = Launch((str(path), "version"), log, env={"PATH": env.get("PATH", os.defpath)})
        match = SAID.search((await processes.run(launch, timeout_s=20.0)).output)
        if match is None:
            tried.append(f"{path} does not say its version")
            continue
        found = Restic(path, (int(match[1]), int(match[2]), int(match[3])))
        if found.can(OLDEST):
            return found
        tried.append(f"{path} is {found}, older than 0.14")
    raise Unavailable(
        f"no restic was found, which copies homes ({'; '.join(tried) or 'none on PATH'})",
        help="Install restic 0.14 or newer (Debian: restic), or run scripts/get-restic, which needs no root.",
    )


def _candidates(env: Mapping[str, str]) -> Iterator[Path]:
    found = shutil.which("restic", path=env.get("PATH", os.defpath))
    if found:
        yield Path(found)
    cache = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "/")) / ".cache") / "hubfed"
    yield from sorted(cache.glob("restic-*/usr/bin/restic"), reverse=True)
