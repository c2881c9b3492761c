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
import time
from datetime import UTC, datetime
from pathlib import Path

from demo_outage import Watched

from federation.runtime.student import Student

ROOT = Path(__file__).resolve().parent.parent
FEDCTL = Path(sys.executable).parent / "fedctl"
CLASS, STUDENT, NOTEBOOK = "atm101", "s01", "lab1.ipynb"
SOURCE = "print('wind from the west')"
KEEP = os.environ.get("KEEP", "") not in ("", "0")


class Steps:
    """What happened and how long it took."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.rows: list[tuple[str, float]] = []

    def done(self, what: str) -> None:
        now = time.monotonic()
        self.rows.append((what, now - self.last))
        print(f"demo: {what} ({now - self.last:.1f} s)", flush=True)
        self.last = now

    def table(self) -> str:
        width = max(len(what) for what, _ in self.rows)
        lines = [f"  {what.ljust(width)}  {seconds:6.1f} s" for what, seconds in self.rows]
        return "\n".join([*lines, f"  {'all'.ljust(width)}  {self.last - self.began:6.1f} s"])


def fedctl(*words: str, env: dict[str, str]) -> str:
    """Run fedctl; what it says to people goes straight to the terminal, too."""
    print(f"$ fedctl {' '.join(words)}", flush=True)
    done = subprocess.Popen(
        [FEDCTL, *words], env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert done.stderr is not None
    said = []
    for line in done.stderr:
        print(f"  {line}", end="", flush=True)
        said.append(line)
    out = done.stdout.read() if done.stdout else ""
    print("".join(f"  {line}\n" for line in out.splitlines()), end="", flush=True)
    if done.wait() != 0:
        raise SystemExit(f"demo: fedctl {words[0]} ended with exit code {done.returncode}")
    return out + "".join(said)


async def study(port: str, password: str, steps: Steps) -> None:
    """Sign in, start the server, save a notebook, stop, start, read it back."""
    async with Student(f"http://127.0.0.1:{port}", f"{CLASS}.localhost", STUDENT) as student:
        status = await student.sign_in(password)
        if status != 200:
            raise SystemExit(f"demo: {STUDENT} could not sign in: {status}")
        steps.done(f"{STUDENT} signed in")
        await student.start_server()
        steps.done("the student's server started")
        await student.save_notebook(NOTEBOOK, SOURCE)
        steps.done(f"{NOTEBOOK} saved through the Jupyter API")
        await student.stop_server()
        await student.start_server()
        steps.done("the server stopped and started again")
        if await student.read(NOTEBOOK) != SOURCE:
            raise SystemExit(f"demo: {NOTEBOOK} came back changed")
        steps.done(f"{NOTEBOOK} read back, unchanged")
        await student.stop_server()


def walk(folder: Path, env: dict[str, str]) -> None:
    steps = Steps()
    fedctl("up", "--dir", str(folder / "federation"), env=env)
    steps.done("federation up: 2 sites, a witness, 3 coordinators, front door")
    said = fedctl("place", f"configs/classrooms/{CLASS}.yaml", env=env)
    steps.done(f"{CLASS} placed, serving under its name")
    password = re.search(r"shown only now: (\S+)", said)
    port = re.search(r"\.localhost:(\d+)", said)
    if password is None or port is None:
        raise SystemExit("demo: fedctl place showed no password or no address")
    asyncio.run(study(port[1], password[1], steps))
    if has_restic():
        outage(folder / "federation", port[1], password[1], steps, env)
    else:
        print("demo: no restic, so homes are not copied and the outage is left out; `scripts/get-restic` gets one")
    fedctl("get", env=env)
    print(f"\nWhat happened:\n{steps.table()}\n")
    if KEEP:
        print(
            f"It runs on. To look around:\n\n"
            f"  export XDG_CONFIG_HOME={env['XDG_CONFIG_HOME']} PATH={FEDCTL.parent}:$PATH\n"
            f"  fedctl get -o wide\n  fedctl describe {CLASS}\n  fedctl logs {CLASS}\n\n"
            f"As a student: http://{CLASS}.localhost:{port[1]}  user {STUDENT}  password {password[1]}\n\n"
            f"To stop it and delete everything:\n\n  fedctl down --dir {folder / 'federation'} --delete --yes\n"
        )


def has_restic() -> bool:
    return subprocess.run([ROOT / "scripts/get-restic"], capture_output=True, check=False).returncode == 0


def outage(folder: Path, port: str, password: str, steps: Steps, env: dict[str, str]) -> None:
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
    asyncio.run(read_back(port, password, steps))
    here.wait(lambda: here.conditions().get("PeerClean", {}).get("status") == "True", "iu confirms that it closed", 120)
    if not here.serves_at("tacc"):
        raise SystemExit("demo: iu came back and the class does not serve at tacc any more")
    steps.done("iu is back, has confirmed that it closed, and does not serve")


async def read_back(port: str, password: str, steps: Steps) -> None:
    """The same student, the same account, the same file, at the other site."""
    async with Student(f"http://127.0.0.1:{port}", f"{CLASS}.localhost", STUDENT) as student:
        if await student.sign_in(password) != 200:
            raise SystemExit(f"demo: {STUDENT} could not sign in after the outage")
        await student.start_server()
        if await student.read(NOTEBOOK) != SOURCE:
            raise SystemExit(f"demo: {NOTEBOOK} came back changed after the outage")
        await student.stop_server()
    steps.done(f"{STUDENT} signed in there and found {NOTEBOOK}, unchanged")


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
