"""Outages on purpose: which processes a failure domain has, how they are killed, frozen and thawed, and what the
supervisor is told meanwhile.

`<dir>/lab/<site>.down` names the roles that the supervisor leaves alone there. It reads the file before every look, so
that an outage outlives supervisor and fedctl, and ends when the file is gone.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from federation.cli.local.layout import Layout
from federation.model.errors import DriverError
from federation.runtime.disk import Disk
from federation.runtime.processes import Found, Processes, ProcessId

ROLES = ("agent", "fencer", "edge", "hub", "proxy", "server", "etcd", "coordinator")
AGENTS_OWN = "agent"  # whatever else runs there lives for a moment, by the agent's will: a canary, a copy of homes
LOOK_S = 0.05
QUIET_S = 0.7  # two looks of the supervisor: one that began before it could read the file may still start something
LIMIT_S = 20.0
STOPPED = "T"

Roles = Mapping[ProcessId, str]


@dataclass(frozen=True, slots=True)
class Outage:
    """What is not to run at a failure domain."""

    site: str
    roles: tuple[str, ...]

    def holds(self, role: str) -> bool:
        """Whether the supervisor leaves this role alone."""
        return role in self.roles


def outages(layout: Layout, disk: Disk) -> dict[str, Outage]:
    """All that are going on, by site. A file that cannot be read means all roles: whoever wrote it wanted quiet."""
    folder = layout.state("lab")
    found = {}
    for path in sorted(folder.glob("*.down")) if folder.is_dir() else ():
        try:
            roles = tuple(str(role) for role in json.loads(disk.read(path) or b"")["roles"])
        except (ValueError, KeyError, TypeError):
            roles = ROLES
        found[path.stem] = Outage(path.stem, roles)
    return found


def declare(layout: Layout, site: str, roles: Iterable[str], disk: Disk) -> None:
    """Tell the supervisor before anything is touched. What an earlier outage of the site named stays named."""
    before = outages(layout, disk).get(site)
    wanted = {*roles, *(before.roles if before else ())}
    _file(layout, site).parent.mkdir(mode=0o700, exist_ok=True)
    disk.replace(_file(layout, site), json.dumps({"roles": [role for role in ROLES if role in wanted]}).encode())


def end(layout: Layout, site: str) -> None:
    """Tell the supervisor that it may start what is missing."""
    _file(layout, site).unlink(missing_ok=True)


def of_roles(found: Iterable[Found], roles: Iterable[str]) -> Roles:
    """Processes of these roles. One that carries no role of its own (a student's kernel that wiped its environment) is
    of the role of its nearest ancestor that does."""
    by_pid = {process.pid: process for process in found}
    wanted = set(roles)
    answer = {}
    for process in by_pid.values():
        at: Found | None = process
        while at is not None and "HUBFED_ROLE" not in at.marks:
            at = by_pid.get(at.parent)
        role = at.marks["HUBFED_ROLE"] if at is not None else ""
        role = role if role in ROLES or not role else AGENTS_OWN
        if role in wanted:
            answer[process.id] = role
    return answer


def freeze(layout: Layout, site: str, roles: Iterable[str], processes: Processes) -> Roles:
    """SIGSTOP them all, until no new ones appear; returns those that were not frozen before."""
    wanted = tuple(roles)
    answer: dict[ProcessId, str] = {}

    def again() -> bool:
        living = of_roles(_processes(layout, site, processes), wanted)
        fresh = {who: role for who, role in living.items() if who not in answer and not frozen(who)}
        for who in fresh:
            processes.signal(who, signal.SIGSTOP)
        answer.update(fresh)
        return bool(fresh)

    _until_quiet(again, f"{site} does not freeze")
    return answer


def kill(layout: Layout, site: str, roles: Iterable[str], processes: Processes) -> Roles:
    """SIGKILL them all and see that they are gone. All are stopped first, so that none can start another in between."""
    wanted = tuple(roles)
    freeze(layout, site, wanted, processes)
    answer: dict[ProcessId, str] = {}

    def again() -> bool:
        answer.update(of_roles(_processes(layout, site, processes), wanted))
        left = [who for who in answer if processes.alive(who)]  # also those that lost their parent, and so their role
        for who in left:
            processes.signal(who, signal.SIGKILL)
        return bool(left)

    _until_quiet(again, f"{site} does not die")
    return answer


def thaw(layout: Layout, site: str, processes: Processes) -> Roles:
    """SIGCONT whatever is stopped; returns it."""
    answer = {who: role for who, role in of_roles(_processes(layout, site, processes), ROLES).items() if frozen(who)}
    for who in answer:
        processes.signal(who, signal.SIGCONT)
    return answer


def frozen(who: ProcessId) -> bool:
    """Whether it is stopped by a signal."""
    try:
        return Path(f"/proc/{who.pid}/stat").read_text().rpartition(")")[2].split()[0] == STOPPED
    except OSError:
        return False


def _processes(layout: Layout, site: str, processes: Processes) -> list[Found]:
    return processes.find({**layout.marks, "HUBFED_SITE": site})


def _until_quiet(again: Callable[[], bool], problem: str) -> None:
    """Repeat until there was nothing to do for `QUIET_S`."""
    begin = last = time.monotonic()  # noqa: TID251 - a person waits here
    while time.monotonic() - last < QUIET_S:  # noqa: TID251
        if again():
            last = time.monotonic()  # noqa: TID251
            if last - begin > LIMIT_S:
                raise DriverError(f"{problem} within {LIMIT_S:g} s", delay_s=None)
        time.sleep(LOOK_S)


def _file(layout: Layout, site: str) -> Path:
    return layout.state("lab", f"{site}.down")
