"""fed-fencer: ends hubs whose lease has lapsed, also when the agent is dead, hung or silent (DESIGN.md 4.2).

A small process of its own on the agent's machine. It reads nothing but the lease file, answers in `ack.json` beside it, and
shares nothing with the agent but that directory, which lies on tmpfs. At a local site it needs no network; where hubs are
in a cluster it asks the API server, and says so when it cannot.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from agents.armed_names import ArmedNames
from agents.drivers.kubernetes.marks import edge_namespace
from agents.drivers.stopper import Stopper
from agents.drivers.stopper_local import LocalStopper
from agents.drivers.stopper_node import CGROUPS, POD_LOGS, NodeStopper
from agents.guard import Guard, newest_of
from agents.runtime_files import RuntimeFiles
from federation.core.fencing import Fence, canary_of
from federation.model.errors import CATALOGUE, ExitCode, FederationError
from federation.runtime import machine_time
from federation.runtime.volatile import MEMORY_FILESYSTEMS, file_system

SECOND_NS = 1_000_000_000
ASK_EVERY_S = 0.25
ARMED = "armed.json"


def main() -> int:
    """Entry point; runs until SIGTERM. What it found to be stopped stays stopped."""
    parser = argparse.ArgumentParser(prog="fed-fencer", description="Ends hubs of one site whose lease has lapsed.")
    parser.add_argument("--site", required=True, metavar="NAME", help="the site's name")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="as the agent's")
    parser.add_argument("--runtime-dir", type=Path, required=True, metavar="DIR", help="as the agent's; on tmpfs")
    parser.add_argument(
        "--longest",
        type=float,
        required=True,
        metavar="SECONDS",
        help="how far ahead a deadline can lie: (D + F)(1 + rho) of the site's profile",
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        metavar="FILE",
        help="hubs are pods of this cluster, instead of processes of this machine",
    )
    node = parser.add_argument_group("on a node of a cluster, without its API server")
    node.add_argument(
        "--ask", metavar="URL", help="where the agent answers: https://HOST:PORT/lease (spec.agent.edge_address)"
    )
    node.add_argument("--ca", type=Path, metavar="FILE", help="authorities of the agent's certificate")
    node.add_argument("--name", metavar="HOST", help="what the agent's certificate says: UID.SITE.agent.hubfed")
    node.add_argument(
        "--pod-logs", type=Path, metavar="DIR", default=POD_LOGS, help=f"the kubelet's podLogsDir ({POD_LOGS})"
    )
    node.add_argument(
        "--cgroups", type=Path, metavar="DIR", default=CGROUPS, help=f"the node's control groups ({CGROUPS})"
    )
    arguments = parser.parse_args()
    wrong = unfit(arguments)
    if wrong:
        sys.stderr.write(f"error: {wrong}\n")
        return int(ExitCode.BAD_INPUT)
    held = lock(arguments.runtime_dir / "fencer.lock")
    if held is None:
        sys.stderr.write(f"error: another fencer guards {arguments.runtime_dir}\n")
        return int(ExitCode.REFUSED)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    try:
        memory = ArmedNames(arguments.state_dir / ARMED) if arguments.kubeconfig else None
        stopper = stopper_of(arguments, memory)
    except FederationError as error:
        sys.stderr.write(f"error: {error.message}\n{error.help}\n")
        return int(CATALOGUE[error.code].exit_code)
    guard = assemble(arguments.site, stopper, arguments.runtime_dir, arguments.longest, memory)
    if arguments.ask:
        ask_for_ever(arguments)
    say("fencer.started", site=arguments.site, pid=os.getpid(), longest_s=arguments.longest)
    while not stopping:
        machine_time.pause(guard.tick() / SECOND_NS)
    say("fencer.stopped", site=arguments.site)
    os.close(held)
    return int(ExitCode.OK)


def stopper_of(arguments: argparse.Namespace, memory: ArmedNames | None) -> Stopper[Any]:
    """Of the site's kind. What speaks to clusters is read only where there is one: it takes some MiB."""
    site = arguments.site
    if arguments.ask:
        return NodeStopper(edge_namespace(site), arguments.pod_logs, arguments.cgroups)
    if memory is None:
        state_dir = arguments.state_dir
        return LocalStopper(os.environ.get("HUBFED_DIR", str(state_dir)), site, state_dir)
    kind = import_module("agents.drivers.kubernetes.fencing")
    found: Stopper[Any] = kind.stopper(site, arguments.kubeconfig, memory)
    return found


def ask_for_ever(arguments: argparse.Namespace) -> None:
    """In a thread: what the agent answers becomes the lease file that this fencer reads."""
    asked = import_module("agents.asked_lease")  # TLS takes some MiB, too
    desk, files = asked.Desk(arguments.ask, arguments.ca, arguments.name), RuntimeFiles(arguments.runtime_dir)
    clock = machine_time.boottime_ns
    canary = canary_of(arguments.site)
    asking = asked.AskedLease(desk.ask, files.write, clock, machine_time.boot_id(), say, without=canary)

    def run() -> None:
        while True:
            asking.turn()
            machine_time.pause(ASK_EVERY_S)

    threading.Thread(target=run, name="asking", daemon=True).start()


def assemble(
    site: str, stopper: Stopper[Any], runtime_dir: Path, longest_s: float, memory: ArmedNames | None
) -> Guard[Any]:
    """The fencer of a site of any kind."""
    boot_id = machine_time.boot_id()
    longest_ns = int(longest_s * SECOND_NS)
    files = RuntimeFiles(runtime_dir)
    least = newest_of(files.acknowledged(), boot_id)
    return Guard(
        fence=Fence(boot_id, longest_ns, machine_time.boottime_ns(), canary=canary_of(site), least=least),
        lease=files,
        stopper=stopper,
        now_ns=machine_time.boottime_ns,
        say=say,
        boot_id=boot_id,
        pid=os.getpid(),
        memory=memory,
    )


def unfit(arguments: argparse.Namespace) -> str:
    """Why this cannot be guarded, or nothing."""
    runtime_dir, longest_s = arguments.runtime_dir, arguments.longest
    if not longest_s > 0:
        return f"--longest {longest_s:g} is not a time"
    if arguments.ask and not (arguments.ca and arguments.name):
        return "--ask needs --ca and --name: an answer of anybody else must not keep hubs alive"
    if arguments.ask and arguments.kubeconfig:
        return "--ask is for a node, and --kubeconfig for the agent's host: one fencer has one of them"
    if not (arguments.ask or arguments.state_dir):
        return "--state-dir is missing: it is where the agent and this keep what has to survive"
    try:
        kind = file_system(runtime_dir)
    except OSError as error:
        return f"{runtime_dir}: {error.strerror}"
    if kind not in MEMORY_FILESYSTEMS:
        return f"{runtime_dir} is on {kind}, which survives a reboot: an old deadline would look days ahead"
    return ""


def lock(path: Path) -> int | None:
    """One fencer per directory; None if there is another."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def say(event: str, /, **fields: object) -> None:
    """A log line as the other daemons write it. A log that cannot be written stops nothing."""
    at = machine_time.wall().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = json.dumps({"event": event, "logger": "fencer", "level": "info", **fields, "at": at}, ensure_ascii=False)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    sys.exit(main())
