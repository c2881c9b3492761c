"""Starting a local federation and waiting until it is fit to place classes: supervisor, leader, sites joined and heard."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.contexts import Context
from federation.cli.local.files import CPU, MEMORY, USER
from federation.cli.local.layout import Choices, Layout, repick
from federation.cli.local.programs import KEEP
from federation.cli.local.register_data import choose_etcd
from federation.model.errors import DeadlineExceeded, DriverError, FederationError
from federation.model.quantities import Memory
from federation.runtime.clock import Clock
from federation.runtime.disk import LocalDisk
from federation.runtime.node import ensure_proxy
from federation.runtime.processes import Launch, Processes, ProcessId

UP_S = 90.0
LOOK_S = 0.2


def supervisor(layout: Layout, processes: Processes) -> ProcessId | None:
    """The running supervisor, if there is one."""
    content = LocalDisk().read(layout.supervisor_lock)
    if not content or not content.strip().isdigit():
        return None
    pid = int(content)
    marks = {**layout.marks, "HUBFED_ROLE": "supervisor"}
    return next((f.id for f in processes.find(marks) if f.pid == pid), None)


def start_supervisor(layout: Layout, processes: Processes) -> ProcessId:
    """Start it detached; it starts everything else."""
    inherited = {key: os.environ[key] for key in KEEP if key in os.environ}
    marks = {**layout.marks, "HUBFED_ROLE": "supervisor"}
    argv = (sys.executable, "-m", "federation.cli.local.supervisor", str(layout.root))
    return processes.spawn(Launch(argv, layout.log("supervisor"), env={**inherited, **marks}))


def free_ports(layout: Layout, choices: Choices, processes: Processes) -> Choices:
    """Keep the ports of last time unless somebody else has them now."""
    import socket  # noqa: PLC0415 - only when a federation is started

    ours = bool(processes.find(layout.marks))
    taken: set[str] = set()
    for role, port in choices.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.add(role)
    if ours or not taken:
        return choices
    output.say(f"ports of {', '.join(sorted(taken))} belong to somebody else now: taking others")
    return repick(layout, choices, taken, LocalDisk())


async def install_parts(layout: Layout, processes: Processes, clock: Clock) -> None:
    """etcd, Node and the proxy, found or installed before anything starts, while somebody looks at the progress."""
    await choose_etcd(layout, processes, LocalDisk())
    await ensure_proxy(processes, clock, progress=output.say)


def context_of(layout: Layout, choices: Choices) -> Context:
    """The context with which fedctl talks to this federation."""
    tls = layout.tls(USER)
    addresses = tuple(choices.address(name) for name in choices.coordinators)
    return Context(choices.name, addresses, str(tls.ca), str(tls.cert), str(tls.key))


def wait_until_up(
    client: Client, choices: Choices, alive: Callable[[], bool], log: Path, down: Collection[str] = ()
) -> None:
    """Wait for a leader, join the sites, wait until all but those that are `down` on purpose are heard.
    DeadlineExceeded says what was missing; DriverError that the supervisor is gone."""
    until = time.monotonic() + UP_S  # noqa: TID251 - a person waits here
    missing, joined = "no coordinator answers", False
    while time.monotonic() < until:  # noqa: TID251
        if not alive():
            raise DriverError(
                f"the supervisor ended; the end of {log}:\n{_tail(log)}",
                help="Correct what its last lines say, then `fedctl up` again; nothing is lost.",
            )
        try:
            status = client.call("Status", control_pb2.StatusRequest(), timeout_s=2.0)
            missing = "no coordinator leads yet"
            if status.leader:
                if not joined:
                    output.say(f"coordinator {status.leader} leads; etcd {status.register_version}")
                    _join(client, choices)
                    joined = True
                missing = _missing(client, [site for site in choices.sites if site not in down])
                if not missing:
                    return
        except FederationError as error:
            missing = error.message
        time.sleep(LOOK_S)
    raise DeadlineExceeded(f"not up after {UP_S:g} s: {missing}", help=f"Look at the logs below {log.parent}.")


def _join(client: Client, choices: Choices) -> None:
    capacity = types_pb2.Capacity(cpu_millis=CPU * 1000, memory_bytes=Memory.parse(MEMORY).bytes)
    for site, uid in choices.sites.items():
        request = control_pb2.JoinSiteRequest(name=site, kind="local", capacity=capacity, uid=uid)
        client.call("JoinSite", request)


def _missing(client: Client, wanted: list[str]) -> str:
    sites = {site.name: site for site in client.call("ListSites", control_pb2.ListSitesRequest()).items}
    for name in wanted:
        site = sites.get(name)
        ready = site is not None and any(c.type == "Ready" and c.status == "True" for c in site.conditions)
        if site is None or not ready or not site.edge_address:
            return f"site {name} is not heard yet"
    return ""


def _tail(log: Path, lines: int = 15) -> str:
    content = LocalDisk().read(log) or b""
    return "\n".join(content.decode(errors="replace").splitlines()[-lines:])
