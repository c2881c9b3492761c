"""Start a whole federation on this machine: two sites with their agents, a witness, a front door for names.

  fedctl up                          below the XDG state folder, in the background
  fedctl up --dir /tmp/f -o json     somewhere else; list its processes
  fedctl up --foreground             stays, and stops everything at Ctrl-C

The first two sites and the witness hold a register member (etcd) and a coordinator each, so that any of the three can
be lost: `fedctl lab kill SITE` shows it. With one site there is one register member, two coordinators and no witness.

Run again it changes nothing and shows the same. A supervisor restarts what dies. `fedctl down` stops all of it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from federation.cli import output
from federation.cli.client import Client
from federation.cli.local.lab import outages
from federation.cli.local.layout import Choices, Layout, default_dir, prepare
from federation.cli.local.starting import (
    free_ports,
    install_parts,
    remember_context,
    start_supervisor,
    supervisor,
    wait_until_up,
)
from federation.cli.local.status import running
from federation.cli.local.stopping import stop_all
from federation.model.errors import ExitCode
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import SystemProcesses


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
    clock = SystemClock()
    processes = SystemProcesses(clock)
    layout = Layout((arguments.dir or default_dir()).absolute())
    known = supervisor(layout, processes)
    sites = tuple(site for site in arguments.sites.split(",") if site)
    choices = prepare(layout, sites, clock, LocalDisk(), profile=arguments.profile)
    fresh = not processes.find(layout.marks)
    try:
        if known is None:
            choices = free_ports(layout, choices, processes)
            asyncio.run(install_parts(layout, processes, clock))
            output.say(f"starting a federation in {layout.root}")
            known = start_supervisor(layout, processes)
        else:
            output.say(f"runs already in {layout.root}")
        keeper = known
        client = Client(remember_context(layout, choices))
        try:
            down = outages(layout, LocalDisk())
            for site in down:
                output.say(f"{site} is down by `fedctl lab`, as it was asked to be; `fedctl lab heal {site}` ends it")
            wait_until_up(client, choices, lambda: processes.alive(keeper), layout.log("supervisor"), down)
        finally:
            client.close()
    except BaseException:  # also Ctrl-C: a start that did not succeed leaves nothing running
        if fresh:
            output.say("not up: stopping what was started")
            stop_all(layout, processes)
        raise
    show(layout, choices, processes, arguments.output)
    if arguments.foreground:
        try:
            while processes.alive(keeper):
                time.sleep(0.5)
        except KeyboardInterrupt:
            output.say("stopping")
        stop_all(layout, processes)
    return ExitCode.OK


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
