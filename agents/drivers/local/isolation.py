"""Can each student have a system uid of their own here? Found by trying, not by guessing."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agents.drivers.local.settings import LocalSettings
from federation.model.errors import FederationError
from federation.runtime.processes import Launch, Processes, inherited

PROBE_S = 30.0
PROBE = """import os, sys, jupyterhub, agents.drivers.local.student_server
os.access(sys.argv[1], os.X_OK) or sys.exit(sys.argv[1] + ' cannot be entered')"""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether students are kept apart, and if not, why."""

    on: bool
    reason: str
    message: str


async def probe(settings: LocalSettings, processes: Processes) -> Isolation:
    """Run the interpreter as the first student's uid and let it enter the homes."""
    if os.getuid() != 0:
        return Isolation(False, "NotRoot", "the agent does not run as root, so all servers run as its own user")
    if settings.homes_dir.is_relative_to(settings.state_dir):
        make_enterable(settings.state_dir)  # what else lies there is 0600 or 0700
    make_enterable(settings.homes_dir)
    uid = settings.first_student_uid
    with tempfile.TemporaryDirectory(prefix="hubfed-probe-") as folder:
        words = (str(settings.interpreter), "-P", "-c", PROBE, str(settings.homes_dir))
        launch = Launch(words, Path(folder, "log"), env=inherited(), cwd=Path("/"), uid=uid, gid=uid)
        try:
            finished = await processes.run(launch, timeout_s=PROBE_S)
        except FederationError as error:
            return Isolation(False, "ProbeFailed", error.message)
    if finished.code == 0:
        return Isolation(True, "OneUidPerStudent", f"each student has a system uid from {uid}")
    if blocked := _blocked(settings.homes_dir):
        return Isolation(
            False, "NotReachable", f"others may not pass {blocked}, so all servers run as the agent's user"
        )
    said = (finished.output.strip().splitlines() or ["no message"])[-1]
    return Isolation(
        False,
        "NotReachable",
        f"a student's uid can not use this installation ({said}), so all servers run as the agent's user",
    )


def _blocked(homes: Path) -> Path | None:
    """The folder on the way to the homes that keeps others out, if it is that."""
    return next((folder for folder in reversed(homes.parents) if not folder.stat().st_mode & 0o001), None)


def make_enterable(folder: Path) -> None:
    """Others may pass through a folder of ours on the way to their own home, but not list it."""
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    folder.chmod(0o711)
