"""Stop the federation on this machine: hubs and students' servers too. Its data stays, `fedctl up` brings it back.

fedctl down
fedctl down --delete --yes      also delete its directory: classes, homes, everything
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from federation.cli import output
from federation.cli.contexts import forget_context
from federation.cli.local.layout import Layout, default_dir, load
from federation.cli.local.one_at_a_time import alone
from federation.cli.local.stopping import stop_all
from federation.model.errors import ExitCode, InvalidRequest
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import SystemProcesses
from federation.runtime.volatile import volatile_dir


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--dir", type=Path, default=None, help="the federation's directory (XDG state folder)")
    parser.add_argument("--delete", action="store_true", help="delete the directory with all homes")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Stop; delete if told to."""
    processes = SystemProcesses(SystemClock())
    layout = Layout((arguments.dir or default_dir()).absolute())
    choices = load(layout, LocalDisk())
    if choices is None:
        output.say(f"{layout.root} holds no federation")
        return ExitCode.OK
    if arguments.delete and not arguments.yes:
        if not sys.stdin.isatty():
            raise InvalidRequest("deleting all homes needs --yes where nobody can be asked")
        output.say(f"This deletes {layout.root} with every student's files. Type yes to go on:")
        if sys.stdin.readline().strip() != "yes":
            return ExitCode.REFUSED
    with alone(layout):
        count = stop_all(layout, processes)
        output.say(f"stopped {count} processes" if count else "nothing was running")
        if arguments.delete:
            for site in choices.sites:  # what its fencers remember says nothing of a federation that begins anew there
                shutil.rmtree(volatile_dir(layout.state("sites", site)))
            shutil.rmtree(layout.root)
            forget_context(choices.name)
            output.say(f"deleted {layout.root}")
    return ExitCode.OK
