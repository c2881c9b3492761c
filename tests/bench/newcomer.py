"""A newcomer's walk: a fresh clone, empty caches, the README's two commands."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.bench.side_by_side import verdict

ROOT = Path(__file__).resolve().parents[2]
COLD_S, WARM_S, TESTS_S = 300, 60, 600


def walk(*, with_tests: bool) -> list[str]:
    """`make demo` cold and warm, and `make test` if asked for (it takes ten minutes)."""
    lines = ["| command | seconds | goal |", "| --- | --- | --- |"]
    with tempfile.TemporaryDirectory(prefix="hubfed-newcomer-") as folder:
        Path(folder).chmod(0o755)  # students' servers, under their own uids, read the installation
        clone, home = Path(folder, "clone"), Path(folder, "home")
        home.mkdir()
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        env = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "VIRTUAL_ENV"))}
        env |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
        steps = [("make demo", "demo", "empty caches", COLD_S), ("make demo", "demo", "again", WARM_S)]
        if with_tests:
            steps.append(("make test", "test", "caches warm", TESTS_S))
        for command, target, state, most in steps:
            print(f"bench: {command}, {state}", flush=True)
            seconds = _timed(["make", target], clone, env)
            lines.append(f"| `{command}`, {state} | {seconds:.0f} | at most {most}: {verdict(seconds, most)} |")
    return lines


def _timed(command: list[str], folder: Path, env: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return time.perf_counter() - began
