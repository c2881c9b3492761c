"""The demo: a federation on this machine, one class, one student, one notebook, one outage; then everything is stopped.

Uses fedctl as an admin would and a browser's requests as a student would. KEEP=1 leaves it running and says how to go
on. Ctrl-C or a failure stops everything and shows the end of the logs.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from demo_outage import Watched
from demo_steps import CLASS, FEDCTL, ROOT, STUDENT, Steps, fedctl, password_in, read_back, study

from federation.runtime.student import Student

KEEP = os.environ.get("KEEP", "") not in ("", "0")


def walk(folder: Path, env: dict[str, str]) -> None:
    steps = Steps()
    fedctl("up", "--dir", str(folder / "federation"), env=env)
    steps.done("federation up: 2 sites, a witness, 3 coordinators, front door")
    said = fedctl("place", f"configs/classrooms/{CLASS}.yaml", env=env)
    steps.done(f"{CLASS} placed, serving under its name")
    password, port = password_in(said), re.search(r"\.localhost:(\d+)", said)
    if port is None:
        raise SystemExit("demo: fedctl place showed no address")

    def browser() -> Student:
        return Student(f"http://127.0.0.1:{port[1]}", f"{CLASS}.localhost", STUDENT)

    asyncio.run(study(browser, password, steps))
    if has_restic():
        outage(folder / "federation", browser, password, steps, env)
    else:
        print("demo: no restic, so homes are not copied and the outage is left out; `scripts/get-restic` gets one")
    fedctl("get", env=env)
    print(f"\nWhat happened:\n{steps.table()}\n")
    if KEEP:
        print(
            f"It runs on. To look around:\n\n"
            f"  export XDG_CONFIG_HOME={env['XDG_CONFIG_HOME']} PATH={FEDCTL.parent}:$PATH\n"
            f"  fedctl get -o wide\n  fedctl describe {CLASS}\n  fedctl logs {CLASS}\n\n"
            f"As a student: http://{CLASS}.localhost:{port[1]}  user {STUDENT}  password {password}\n\n"
            f"To stop it and delete everything:\n\n  fedctl down --dir {folder / 'federation'} --delete --yes\n"
        )


def has_restic() -> bool:
    return subprocess.run([ROOT / "scripts/get-restic"], capture_output=True, check=False).returncode == 0


def outage(folder: Path, browser: Callable[[], Student], password: str, steps: Steps, env: dict[str, str]) -> None:
    """Everything at the class's site dies; then it is healed."""
    here, stopped = Watched(FEDCTL, env, CLASS), datetime.now(UTC)
    here.wait(lambda: here.has_copy_since(stopped), "the homes are copied, and the class is armed", 120)
    steps.done("homes copied to where the other site finds them; the class is armed")
    killed = datetime.now(UTC)
    fedctl("lab", "kill", "iu", "--dir", str(folder), env=env)
    here.wait(lambda: here.serves_at("tacc"), "it serves at tacc", 180)
    steps.done("iu died; the class serves at tacc, under the same name")
    print(f"\nAfter the death of iu:\n{here.timeline(killed)}\n", flush=True)
    fedctl("lab", "heal", "iu", "--dir", str(folder), env=env)  # it comes back while the student works
    asyncio.run(read_back(browser, password, steps))
    here.wait(lambda: here.conditions().get("PeerClean", {}).get("status") == "True", "iu confirms that it closed", 120)
    if not here.serves_at("tacc"):
        raise SystemExit("demo: iu came back and the class does not serve at tacc any more")
    steps.done("iu is back, has confirmed that it closed, and does not serve")


def show_logs(folder: Path) -> None:
    for log in sorted((folder / "federation" / "logs").glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-8:]
        print("".join(f"{log.name}: {line[:300]}\n" for line in lines), end="", file=sys.stderr)


def main() -> int:
    # TERM ends the demo as Ctrl-C does: through the clean-up below
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="hubfed-demo-"))
    if os.getuid() == 0:
        folder.chmod(0o711)  # students' own system uids must get through to their homes
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    kept = False
    try:
        walk(folder, env)
        kept = KEEP
    except KeyboardInterrupt:
        print("demo: interrupted, stopping everything", file=sys.stderr)
        return 130
    except BaseException:
        show_logs(folder)
        raise
    finally:
        if not kept:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
            down = [str(FEDCTL), "down", "--dir", str(folder / "federation"), "--delete", "--yes"]
            if (folder / "federation").exists():
                subprocess.run(down, env=env, check=False, start_new_session=True)
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
