"""Start a whole federation on this machine: two sites with their agents, a witness, a front door for names.

  fedctl up                          below the XDG state folder, in the background
  fedctl up --dir /tmp/f -o json     somewhere else; list its processes
  fedctl up --foreground             stays, and stops everything at Ctrl-C

The first two sites and the witness hold a register member (etcd) and a coordinator each, so that any of the three can
be lost: `fedctl lab kill SITE` shows it. With one site there is one register member, two coordinators and no witness.

Run again it changes nothing and shows the same; of two at once the second waits for the first. A supervisor restarts
what dies. `fedctl down` stops all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from federation.cli import output
from federation.cli.client import Client
from federation.cli.contexts import save_context
from federation.cli.local.lab import outages
from federation.cli.local.layout import Choices, Layout, default_dir, prepare, site_names
from federation.cli.local.one_at_a_time import alone
from federation.cli.local.starting import (
    context_of,
    free_ports,
    install_parts,
    start_supervisor,
    supervisor,
    wait_until_up,
)
from federation.cli.local.status import running
from federation.cli.local.stopping import stop_all
from federation.model.errors import ExitCode
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import ProcessId, SystemProcesses


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--dir", type=Path, default=None, help="where it keeps everything (XDG state folder)")
    parser.add_argument("--sites", default="", help="names of its sites, comma between (iu,tacc)")
    parser.add_argument(
        "--profile",
        choices=("lab", "norm"),
        default="",
        help="lab: leases of seconds, quick to fail over; norm: as in production (lab)",
    )
    parser.add_argument("--foreground", action="store_true", help="stay; Ctrl-C stops everything")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="form of the list")


def run(arguments: argparse.Namespace) -> int:
    """Start what is missing, wait, list."""
    processes = SystemProcesses(SystemClock())
    layout = Layout((arguments.dir or default_dir()).absolute())
    sites = site_names(arguments.sites)
    with alone(layout):
        choices, keeper = _start(layout, sites, arguments.profile, processes)
    show(layout, choices, processes, arguments.output)
    if arguments.foreground:
        try:
            while processes.alive(keeper):
                time.sleep(0.5)
        except KeyboardInterrupt:
            output.say("stopping")
        if layout.root.exists():
            with alone(layout):
                stop_all(layout, processes)
    return ExitCode.OK


def _start(
    layout: Layout, sites: tuple[str, ...], profile: str, processes: SystemProcesses
) -> tuple[Choices, ProcessId]:
    """Up to where classes can be placed. Whoever calls holds the directory, so that nobody else starts anything."""
    clock = SystemClock()
    choices = prepare(layout, sites, clock, LocalDisk(), profile=profile)
    fresh = not processes.find(layout.marks)
    keeper = supervisor(layout, processes)
    try:
        if keeper is None:
            choices = free_ports(layout, choices, processes)
            asyncio.run(install_parts(layout, processes, clock))
            output.say(f"starting a federation in {layout.root}")
            keeper = start_supervisor(layout, processes)
        else:
            output.say(f"runs already in {layout.root}")
        started = keeper

        def kept() -> bool:
            """By ours, or by one that a start which was killed had begun just before."""
            return processes.alive(started) or supervisor(layout, processes) is not None

        context = context_of(layout, choices)
        client = Client(context)
        try:
            down = outages(layout, LocalDisk())
            for site in down:
                output.say(f"{site} is down by `fedctl lab`, as it was asked to be; `fedctl lab heal {site}` ends it")
            wait_until_up(client, choices, kept, layout.log("supervisor"), down)
        finally:
            client.close()
        save_context(context)  # only now: one that never came up does not take the place of one that runs
    except BaseException:  # also Ctrl-C: a start that did not succeed leaves nothing running
        if fresh:
            output.say("not up: stopping what was started")
            stop_all(layout, processes)
        raise
    return choices, supervisor(layout, processes) or started


def show(layout: Layout, choices: Choices, processes: SystemProcesses, form: str) -> None:
    """The processes, and where to go from here."""
    items = running(layout, choices, processes)
    if form == "json":
        output.document({"items": [item.document() for item in items]}, "json")
        return
    output.table(
        ("ROLE", "SITE", "HUB", "PID", "ADDRESS"),
        [(item.role, item.site, item.hub, str(item.pid), item.address) for item in items],
    )
    output.say(f"classes appear at http://NAME.localhost:{choices.ports['frontdoor']}; next: fedctl place FILE")
