"""Each local site of a machine has system uids of its own for its students: two sites must never share one.

A range of 100,000 uids per site, handed out under a lock from one file of the machine. A range whose site is gone (its
state directory no longer exists) is given again.
"""

from __future__ import annotations

import json
from pathlib import Path

from agents.drivers.local.students import MOST_UIDS
from federation.model.errors import DriverError
from federation.runtime.disk import LocalDisk, locked

REGISTRY = Path("/var/lib/hubfed/student-uid-ranges.json")
FIRST, LAST = 200_000, 2_000_000_000


def first_uid(state_dir: Path, registry: Path = REGISTRY) -> int:
    """The first uid of the range of the site that keeps its state in `state_dir`; always the same one."""
    registry.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with locked(registry.with_suffix(".lock")):
        disk, mine = LocalDisk(), str(state_dir.resolve())
        try:
            ranges: dict[str, int] = json.loads(disk.read(registry) or b"{}")
        except ValueError as error:
            raise DriverError(f"{registry} cannot be understood; students' uids would be mixed up") from error
        if mine not in ranges:
            taken = {first for folder, first in ranges.items() if Path(folder).is_dir()}
            ranges = {folder: first for folder, first in ranges.items() if first in taken}
            ranges[mine] = next(first for first in range(FIRST, LAST, MOST_UIDS) if first not in taken)
            disk.replace(registry, json.dumps(ranges, indent=1).encode())
        return ranges[mine]
