"""restic for the tests' own password, without its half second of key derivation per run.

restic measures the machine when it makes a repository, and takes a key derivation that lasts half a second there; every
later run pays for it. So one repository is made once per machine by a restic that is held back, which it takes for a slow
machine; `init` for the tests' password copies that one, and everything else is done by restic itself.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from federation.runtime.restic_program import Restic

HELD_S, GOES_S = 0.08, 0.004
WRAPPER = """#!/bin/sh
for last; do :; done
if [ "$last $RESTIC_PASSWORD" = {asked} ]; then
    case "$2" in
        /*) exec cp -r {made} "$2" ;;
        {url}/*) into={folder}/"${{2#{url}/}}"; mkdir -p "${{into%/*}}" && exec cp -r {made} "$into" ;;
    esac
fi
exec {restic} "$@"
"""
NOWHERE = ("no-address:", "/nonexistent")


@contextmanager
def quick_restic(restic: Restic, password: str, served: tuple[str, str] = NOWHERE) -> Iterator[None]:
    """First on PATH for as long as this lasts. `served`: the address of a store, and the folder that it serves."""
    with tempfile.TemporaryDirectory(prefix="hubfed-test-") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder, "restic")
        words = {"asked": f"init {password}", "made": _made(restic, password), "restic": restic.path}
        words |= dict(zip(("url", "folder"), served, strict=True))
        program.write_text(WRAPPER.format(**{name: shlex.quote(str(word)) for name, word in words.items()}))
        program.chmod(0o755)
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{folder}:{before}"
        try:
            yield
        finally:
            os.environ["PATH"] = before


def _made(restic: Restic, password: str) -> Path:
    """The repository, made if it is not in the cache yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hubfed"
    made = cache / f"test-repository-restic-{restic}-{sha256(password.encode()).hexdigest()[:8]}"
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder, "fresh")
            _init_held_back(restic, fresh, password)
            with suppress(OSError):  # another run of the tests was first
                fresh.rename(made)
    return made


def _init_held_back(restic: Restic, into: Path, password: str) -> None:
    words = [str(restic.path), "-r", str(into), "--no-cache", "init"]
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": password}
    child = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    while child.poll() is None:
        child.send_signal(signal.SIGSTOP)
        time.sleep(HELD_S)
        child.send_signal(signal.SIGCONT)
        time.sleep(GOES_S)
    assert child.returncode == 0
