"""Kill, freeze and heal a site or the witness of the federation on this machine, to see what becomes of its classes.

fedctl lab kill iu                       as if its power went: agent, hubs, students' servers, register member, all
fedctl lab kill iu --only agent          that part alone; what an agent keeps (edge, hubs) it starts again if it lives
fedctl lab freeze tacc                   as a machine that hangs: nothing runs on, nothing is gone
fedctl lab heal iu                       thaw what is frozen, start what is missing

Nothing of a killed site is started again before `heal`, `fedctl down` ends every outage. The same words again change
nothing. SITE is a site or `witness`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from federation.cli import output
from federation.cli.local import lab
from federation.cli.local.layout import Choices, Layout, default_dir, load
from federation.cli.local.starting import supervisor
from federation.model.errors import ExitCode, InvalidRequest, NotFound
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.processes import SystemProcesses

DONE = {"kill": "killed", "freeze": "frozen", "heal": "thawed"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("action", choices=tuple(DONE), help="what to do to it")
    parser.add_argument("site", metavar="SITE", help="a site of the federation, or witness")
    parser.add_argument("--dir", type=Path, default=None, help="the federation's directory (XDG state folder)")
    parser.add_argument("--only", default="", metavar="ROLES", help=f"of {', '.join(lab.ROLES)}; comma between (all)")


def run(arguments: argparse.Namespace) -> int:
    """Do it, say what was done and what to watch."""
    layout = Layout((arguments.dir or default_dir()).absolute())
    disk, processes = LocalDisk(), SystemProcesses(SystemClock())
    choices = load(layout, disk)
    if choices is None or supervisor(layout, processes) is None:
        raise NotFound(f"no federation runs in {layout.root}", help="`fedctl up` starts one; --dir says where.")
    site = _known(arguments.site, choices)
    roles = _roles(arguments.only)
    if arguments.action == "heal":
        if arguments.only:
            raise InvalidRequest("heal takes no --only: it heals all of a site", help=f"`fedctl lab heal {site}`.")
        done = lab.thaw(layout, site, processes)
        lab.end(layout, site)
    else:
        lab.declare(layout, site, roles, disk)
        act = lab.kill if arguments.action == "kill" else lab.freeze
        done = act(layout, site, roles, processes)
    counts = Counter(done.values())
    parts = ", ".join(f"{role} {counts[role]}" for role in lab.ROLES if counts[role])
    output.data(f"{site}: {DONE[arguments.action]} {parts or 'nothing: there was nothing left to do'}")
    for line in _next(arguments.action, site, choices, lab.outages(layout, disk)):
        output.say(line)
    return ExitCode.OK


def _known(site: str, choices: Choices) -> str:
    known = tuple(dict.fromkeys([*choices.sites, *(domain.name for domain in choices.domains)]))
    if site not in known:
        raise InvalidRequest(f"there is no site {site!r}", help=f"This federation has {', '.join(known)}.")
    return site


def _roles(only: str) -> tuple[str, ...]:
    wanted = tuple(role for role in only.split(",") if role)
    strange = [role for role in wanted if role not in lab.ROLES]
    if strange:
        raise InvalidRequest(f"there is no role {strange[0]!r}", help=f"Roles are {', '.join(lab.ROLES)}.")
    return wanted or lab.ROLES


def _next(action: str, site: str, choices: Choices, going_on: dict[str, lab.Outage]) -> list[str]:
    if action == "heal":
        lines = [f"what is missing at {site} is being started; `fedctl up` waits for it, `fedctl doctor` looks at all"]
    else:
        lines = ["`fedctl get` and `fedctl watch` show what becomes of classes, `fedctl events` why"]
        lines.append(f"`fedctl lab heal {site}` ends it")
    members = [domain.name for domain in choices.domains]
    lost = [name for name in members if name in going_on and going_on[name].holds("etcd")]
    if len(lost) * 2 > len(members):
        lines.append(
            f"register members at {' and '.join(lost)} are down: no majority, so nothing can be decided; sites keep "
            "what they run"
        )
    return lines
