"""Which etcd runs the register of a local federation: the one that wrote its data, or one that can read them.

etcd refuses data of a later version than its own and takes those of one minor version earlier, for good. So the choice
is made once and kept beside the data; an etcd that turns up later on PATH or in the cache changes nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from federation.cli.local.layout import Layout
from federation.model.errors import InvalidRequest, Refused
from federation.runtime.disk import Disk
from federation.runtime.etcd_process import EtcdBinary, candidates, find_etcd, version_of
from federation.runtime.processes import Processes


async def choose_etcd(layout: Layout, processes: Processes, disk: Disk) -> EtcdBinary:
    """The etcd to run. Refused if there is data and none that can read it; Unavailable if there is none at all."""
    log = layout.log("etcd-version")
    wrote = recorded(layout, disk)
    if wrote is None or not has_data(layout):
        return await find_etcd(processes, log)
    found: list[EtcdBinary] = []
    for path in dict.fromkeys((wrote.path, *candidates())):
        version = await version_of(processes, path, log) if os.access(path, os.X_OK) else None
        if version is not None:
            found.append(EtcdBinary(path, version))
    fit = [etcd for etcd in found if reads(etcd, wrote)]
    if fit:
        return min(fit, key=lambda etcd: _rank(etcd, wrote))
    here = ", ".join(f"{etcd.version} ({etcd.path})" for etcd in found) or "none"
    minor = ".".join(map(str, wrote.minor))
    raise Refused(
        f"the register in {layout.root} was written by etcd {wrote.version} ({wrote.path}), "
        f"which other versions cannot go on with; here is etcd {here}",
        help=f"Put etcd {minor} on PATH, where it may also be a later patch of {minor}, then `fedctl up` again: nothing is "
        f"lost. Or start anew, without its classes and homes: `fedctl down --delete --dir {layout.root}`.",
    )


def record(layout: Layout, etcd: EtcdBinary, disk: Disk) -> None:
    """Remember it, before it writes anything."""
    if recorded(layout, disk) != etcd:
        disk.replace(_file(layout), json.dumps({"version": etcd.version, "path": str(etcd.path)}).encode())


def recorded(layout: Layout, disk: Disk) -> EtcdBinary | None:
    """The etcd of last time; InvalidRequest if what was kept of it cannot be read."""
    content = disk.read(_file(layout))
    if content is None:
        return None
    try:
        body = json.loads(content)
        etcd = EtcdBinary(Path(body["path"]), str(body["version"]))
        _ = etcd.minor
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(
            f"{_file(layout)} is damaged: {error}",
            help='It holds the etcd that wrote the data beside it, e.g. {"version": "3.5.9", "path": "/usr/bin/etcd"}.',
        ) from error
    return etcd


def has_data(layout: Layout) -> bool:
    """Whether any member has written something."""
    return any(layout.state("etcd").glob("*/member"))


def reads(etcd: EtcdBinary, wrote: EtcdBinary) -> bool:
    """The same minor version, or the next one."""
    major, minor = wrote.minor
    return etcd.minor in ((major, minor), (major, minor + 1))


def _rank(etcd: EtcdBinary, wrote: EtcdBinary) -> tuple[bool, bool, bool]:
    """A later minor version cannot be taken back: last. A mended patch of the same one comes before a dangerous one."""
    return etcd.minor != wrote.minor, not etcd.crash_safe, etcd != wrote


def _file(layout: Layout) -> Path:
    return layout.state("etcd", "made-by.json")
